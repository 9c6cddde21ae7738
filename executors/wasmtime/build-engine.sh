#!/bin/sh
# Builds the Wasmtime engine (shim/, a static library) and puts it and the C headers into the cache
# folder: ${XDG_CACHE_HOME:-~/.cache}/hybridserve/wasmtime-prefix. Does nothing when what lies there
# was built from the same sources by the same compiler. Usage: executors/wasmtime/build-engine.sh
set -eu
cd "$(dirname "$0")/shim"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hybridserve
prefix=$cache/wasmtime-prefix
key=$({ rustc --version; cat Cargo.toml Cargo.lock src/lib.rs epoch_check.patch; } | sha256sum | cut -d' ' -f1)
[ "$(cat "$prefix/key" 2>/dev/null)" = "$key" ] && exit 0

echo "setup: building the Wasm engine (several minutes, once)"
mkdir -p "$cache"
log=$cache/wasmtime-build.log
# Cargo checks every crate against the lock file. Then one of them, with our patch, takes the place of
# the registry's in a copy of the shim, whose lock file names no source for it.
cargo fetch --locked 2>"$log" || { tail -40 "$log" >&2; exit 1; }
crate=wasmtime-internal-cranelift
manifest=$(cargo metadata --locked --offline --format-version 1 | python3 -c '
import json, sys
print(*(p["manifest_path"] for p in json.load(sys.stdin)["packages"] if p["name"] == sys.argv[1]))' "$crate")
source=$cache/wasmtime-source
rm -rf "$source"
mkdir -p "$source"
cp -R Cargo.toml Cargo.lock src "$source/"
cp -R "$(dirname "$manifest")" "$source/$crate"
patch -s -p1 -d "$source/$crate" <epoch_check.patch
python3 - "$source/Cargo.lock" "$crate" <<'PY'
import pathlib, re, sys
lock = pathlib.Path(sys.argv[1])
entry = rf'(name = "{sys.argv[2]}"\nversion = "[^"]*"\n)source = "[^"]*"\nchecksum = "[^"]*"\n'
lock.write_text(re.sub(entry, r"\1", lock.read_text()))
PY
printf '\n[patch.crates-io]\n%s = { path = "%s" }\n' "$crate" "$crate" >>"$source/Cargo.toml"
CARGO_TARGET_DIR=$cache/cargo-target cargo build --release --locked --offline \
  --manifest-path "$source/Cargo.toml" \
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
