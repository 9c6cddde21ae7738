#!/bin/sh
# Builds the Wasmtime engine (shim/, a static library) and puts it and the C headers into the cache
# folder: ${XDG_CACHE_HOME:-~/.cache}/hybridserve/wasmtime-prefix. Does nothing when what lies there
# was built from the same sources by the same compiler. Usage: executors/wasmtime/build-engine.sh
set -eu
cd "$(dirname "$0")/shim"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hybridserve
prefix=$cache/wasmtime-prefix
key=$({ rustc --version; cat Cargo.toml Cargo.lock src/lib.rs; } | sha256sum | cut -d' ' -f1)
[ "$(cat "$prefix/key" 2>/dev/null)" = "$key" ] && exit 0

echo "setup: building the Wasm engine (several minutes, once)"
mkdir -p "$cache"
log=$cache/wasmtime-build.log
CARGO_TARGET_DIR=$cache/cargo-target cargo build --release --locked \
  --message-format=json-render-diagnostics >"$cache/wasmtime-build.json" 2>"$log" ||
  { tail -40 "$log" >&2; exit 1; }
# The C headers, with the conf.h that belongs to our features, lie in the crate's build folder.
headers=$(python3 - "$cache/wasmtime-build.json" <<'PY'
import json, sys
for line in open(sys.argv[1]):
    message = json.loads(line)
    if message["reason"] == "build-script-executed" and "wasmtime-c-api-impl" in message["package_id"]:
        print(message["out_dir"] + "/include")
PY
)
new=$prefix.new.$$
rm -rf "$new"
mkdir -p "$new/lib"
cp "$cache/cargo-target/release/libhybridserve_wasmtime.a" "$new/lib/"
cp -R "$headers" "$new/include"
echo "$key" >"$new/key"
rm -rf "$prefix"
mv "$new" "$prefix"
rm -f "$cache/wasmtime-build.json"
