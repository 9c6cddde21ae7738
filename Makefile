# What a person runs is what CI runs. Each verb sets up what it needs.
BUILD ?= build/release
JOBS  ?= $(shell nproc)

.PHONY: help setup build test demo run bench walls conformance test-asan test-tsan fuzz lint format functions \
	functions-built functions-test clean

help:             ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup:            ## install what the build needs and is missing
	@tools/setup build

build: setup      ## build everything into build/release
	@tools/build release $(JOBS)

demo: build       ## start a node, deploy two functions, show request by request what happens
	@python3 tools/demo.py --bin $(BUILD)/bin

test:             ## set up, build and run every test
	@tools/setup test
	@tools/build release $(JOBS)
	@tools/run-tests $(BUILD)

test-asan:        ## the unit tests under AddressSanitizer and UBSan
	@tools/setup test
	@tools/build asan $(JOBS)
	@tools/run-tests build/asan

test-tsan:        ## the unit tests under ThreadSanitizer
	@tools/setup test
	@tools/build tsan $(JOBS)
	@tools/run-tests build/tsan

bench:            ## measure on an idle machine; writes build/bench/summary.json
	@tools/setup bench
	@tools/build release $(JOBS)
	@python3 bench/run.py --bin $(BUILD)/bin --out build/bench

walls:            ## flood, break out, exhaust, overload, fuzz; adds its figures to build/bench/summary.json
	@tools/setup walls
	@tools/build release $(JOBS)
	@tools/build fuzz $(JOBS)
	@python3 tests/walls/run.py --bin $(BUILD)/bin --out build/bench

run: build        ## serve in the foreground with a state folder in build/state
	@$(BUILD)/bin/hybridserve serve --state-folder build/state

# Each function's stamp is as old as its last build. What it is made of: its own files, what functions share, the SDK.
FUNCTIONS := $(patsubst %/function.toml,%,$(wildcard functions/*/function.toml functions/examples/*/function.toml))
SHARED_SOURCES := $(wildcard functions/common/*.[ch]* functions/common/*/*) src/cli/toolchain.cc \
	$(shell find sdk/cpp/include sdk/cpp/src -type f)

functions:        ## build every function under functions/ that has changed, in parallel
	@tools/setup functions
	@tools/build release $(JOBS)
	@$(MAKE) --no-print-directory -j$(JOBS) functions-built

functions-built: $(FUNCTIONS:%=%/build/stamp)

# Status 6: a toolchain is missing. That function is skipped, with the word that says so.
.SECONDEXPANSION:
$(FUNCTIONS:%=%/build/stamp): %/build/stamp: $$(shell find $$* -name build -prune -o -type f -print) $(SHARED_SOURCES)
	@mkdir -p $*/build && $(BUILD)/bin/hybridserve build $* >$*/build/log 2>&1; status=$$?; \
	case $$status in 0) echo "built $*" && touch $@ ;; \
	  6) echo "skipped $*: $$(tail -n 1 $*/build/log)" ;; \
	  *) echo "failed $*:"; cat $*/build/log; exit $$status ;; esac

functions-test: functions  ## each function in all its builds: size, cold start, execution time, equal answers
	@python3 tests/functions/table.py --bin $(BUILD)/bin --out build/bench

conformance:      ## every engine, compiler and mode over the same cases; writes build/bench/conformance.json
	@tools/setup test
	@tools/build release $(JOBS)
	@python3 tests/conformance/run.py --bin $(BUILD)/bin --out build/bench

fuzz:             ## build the fuzz targets with clang and run each for 20 s
	@tools/setup fuzz
	@tools/build fuzz $(JOBS)
	@tools/fuzz 20

lint:             ## folder order and formatting
	@python3 tools/check-layers.py
	@git ls-files '*.cc' '*.h' | xargs clang-format --dry-run --Werror

format:           ## format the C++ sources in place
	@git ls-files '*.cc' '*.h' | xargs clang-format -i

clean:            ## remove what the build made; the cache folder stays
	@rm -rf build functions/*/build functions/examples/*/build
