#!/bin/sh
# Fetches WasmEdge and all that it runs on (its own libc among them) from a later Debian suite than
# the machine's, and unpacks it into a tree of its own in the cache folder:
# ${XDG_CACHE_HOME:-~/.cache}/hybridserve/wasmedge-tree. Installs and upgrades nothing: apt works on
# a configuration of its own, made from the machine's package source with the suite replaced, and
# checks the archive's signature as always. Does nothing when what lies there is what is asked for.
# Usage: executors/wasmedge/get-engine.sh     Exit status 1 and a line: it cannot be had.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../tools/versions.env"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hybridserve
tree=$cache/wasmedge-tree
key=$({ echo "$WASMEDGE_VERSION $WASMEDGE_SUITE"; cat "$0"; } | sha256sum | cut -d' ' -f1)
[ "$(cat "$tree/key" 2>/dev/null)" = "$key" ] && exit 0

echo "setup: fetching WasmEdge $WASMEDGE_VERSION (42 MB, once)"
mkdir -p "$cache"
log=$cache/wasmedge-fetch.log
: >"$log"
work=$(mktemp -d "$cache/wasmedge-fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
fail() {
  [ ! -s "$log" ] || tail -5 "$log" >&2
  echo "WasmEdge $WASMEDGE_VERSION cannot be had: $1" >&2
  exit 1
}

# The machine's own sources of its suite, with the other suite in its place.
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -n "$suite" ] || fail "this machine names no Debian suite (/etc/os-release)"
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/sources" "$work/preferences"
: >"$work/status"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ ! -f "$file" ] || cat "$file"
done | awk -v from="$suite" -v to="$WASMEDGE_SUITE" '
  $1 == "deb" {
    for (i = 2; i < NF; ++i) if ($i == from) { $i = to; print; next }
  }' >"$work/sources/suite.list"
for file in /etc/apt/sources.list.d/*.sources; do
  [ ! -f "$file" ] || { cat "$file"; echo; }
done | awk -v from="$suite" -v to="$WASMEDGE_SUITE" '
  BEGIN { RS = ""; FS = "\n" }
  {
    ours = 0
    text = ""
    for (i = 1; i <= NF; ++i) {
      if ($i ~ /^#/) continue
      if (tolower($i) ~ /^suites:/) {
        n = split($i, word, /[ \t]+/)
        for (j = 2; j <= n; ++j) if (word[j] == from) ours = 1
        text = text "Suites: " to "\n"
      } else {
        text = text $i "\n"
      }
    }
    if (ours) print text
  }' >"$work/sources/suite.sources"
[ -s "$work/sources/suite.list" ] || [ -s "$work/sources/suite.sources" ] ||
  fail "apt has no source of the suite $suite"

# No package counts as installed, so that all that it needs is fetched, too.
cat >"$work/apt.conf" <<CONF
Dir::State "$work";
Dir::State::Lists "$work/lists";
Dir::State::status "$work/status";
Dir::Cache "$work";
Dir::Cache::archives "$work/archives";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$work/sources";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "$work/preferences";
APT::Install-Recommends "false";
APT::Get::AllowUnauthenticated "false";
APT::Sandbox::User "";
Acquire::AllowInsecureRepositories "false";
CONF
export APT_CONFIG="$work/apt.conf"
apt-get update -q --error-on=any >>"$log" 2>&1 || fail "apt cannot read the suite $WASMEDGE_SUITE"
version=$(apt-cache madison libwasmedge0 | awk -v v="$WASMEDGE_VERSION" 'index($3, v) == 1 { print $3; exit }')
[ -n "$version" ] || fail "the suite $WASMEDGE_SUITE has another version"
apt-get install -q -y --download-only "libwasmedge0=$version" "libwasmedge-dev=$version" \
  >>"$log" 2>&1 || fail "apt cannot fetch or verify its packages"

# Of the packages only what runs and compiles; links between folders keep their places.
mkdir "$work/all" "$work/tree"
for package in "$work"/archives/*.deb; do dpkg-deb -x "$package" "$work/all"; done
libraries=$(cd "$work/all" && dirname "$(find . -name 'libwasmedge.so.0' | head -1)")
mkdir -p "$work/tree/lib" "$work/tree/include"
cp -a "$work/all/$libraries"/*.so* "$work/tree/lib/"
cp -a "$work/all/usr/include/wasmedge" "$work/tree/include/"
loader=$(find "$work/tree/lib" -name 'ld-linux-*.so.*' -printf '%f\n' | head -1)
[ -n "$loader" ] || fail "its packages have no dynamic loader where one was expected"
ln -s "$loader" "$work/tree/lib/loader"
echo "$version" >"$work/tree/version"
echo "$key" >"$work/tree/key"
rm -rf "$tree"
mv "$work/tree" "$tree"
