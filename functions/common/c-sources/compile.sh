#!/bin/sh
# Compiles a library's C sources (NAME.sources lists them) into FOLDER/*.o.
# Usage: compile.sh zlib|mbedtls FOLDER COMPILER FLAG...
set -eu
here=$(cd "$(dirname "$0")" && pwd)
name=$1 folder=$2
shift 2
sources=$(sh "$here/path.sh" "$name")
if [ ! -d "$sources" ]; then
  echo "the C sources of $name are not in $sources; functions/common/c-sources/get.sh fetches them"
  exit 77
fi
rm -rf "$folder"
mkdir -p "$folder"
while read -r file; do
  "$@" -w -I"$sources/include" -c "$sources/$file" -o "$folder/$(basename "$file" .c).o"
done <"$here/$name.sources"
