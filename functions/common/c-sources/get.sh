#!/bin/sh
# Fetches the C sources of zlib and mbed TLS into the cache folder (path.sh), from the crates that
# Cargo.toml pins; does nothing when they are there. Usage: functions/common/c-sources/get.sh
set -eu
cd "$(dirname "$0")"
folder=$(dirname "$(sh ./path.sh zlib)")
key=$(cat Cargo.toml Cargo.lock get.sh | sha256sum | cut -d' ' -f1)
[ "$(cat "$folder/key" 2>/dev/null)" = "$key" ] && exit 0

host=$(rustc -vV | sed -n 's/^host: //p')
cargo fetch -q --locked --target "$host"
new=$folder.new.$$
rm -rf "$new"
mkdir -p "$new"
# crate, folder inside it, library
cargo metadata --offline --locked --format-version 1 --filter-platform "$host" | python3 -c '
import json, os, sys
for package in json.load(sys.stdin)["packages"]:
    print(package["name"], os.path.dirname(package["manifest_path"]))
' | while read -r crate where; do
  case $crate in
    libz-sys) cp -R "$where/src/zlib" "$new/zlib" ;;
    mbedtls-sys-auto) mkdir "$new/mbedtls" && cp -R "$where/vendor/include" "$where/vendor/library" "$new/mbedtls/" ;;
  esac
done
[ -e "$new/zlib/zlib.h" ] && [ -e "$new/mbedtls/include/mbedtls/aes.h" ] ||
  { echo "get.sh: the crates have no zlib.h or aes.h where they had it" >&2; rm -rf "$new"; exit 1; }
echo "$key" >"$new/key"
rm -rf "$folder"
mv "$new" "$folder"
