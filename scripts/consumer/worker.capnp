# The smallest workerd that can run the bundled worker.mjs; `workerd test` calls its test().
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(
    name = "consumer",
    worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "2026-10-01",
      bindings = [(name = "self", service = "consumer")],
    ),
  )],
);
