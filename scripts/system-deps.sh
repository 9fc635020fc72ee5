#!/bin/sh
# What npm cannot bring, on Debian: the browsers that the tests run in (MiniBrowser is in libwebkit2gtk and needs Xvfb), and
# PgBouncer. A Postgres server comes with npm, as embedded-postgres.
set -eu
packages="chromium firefox-esr libwebkit2gtk-4.1-0 xvfb pgbouncer"

missing=""
for package in $packages; do
	dpkg-query --show --showformat '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
done
if [ -z "$missing" ]; then
	echo "all there: $packages"
	exit 0
fi

apt-get update || {
	sleep 5 # a mirror in the middle of its own update
	apt-get update
}
# PgBouncer is a program for the tests here, not a service of the machine.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
fi
# --no-upgrade leaves what is installed as it is. The list is split on purpose.
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-upgrade --no-install-recommends $missing
