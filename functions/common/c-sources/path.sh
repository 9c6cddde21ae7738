#!/bin/sh
# Prints the folder of a library's C sources, which get.sh fetches. Usage: path.sh zlib|mbedtls
echo "${XDG_CACHE_HOME:-$HOME/.cache}/hybridserve/c-sources/$1"
