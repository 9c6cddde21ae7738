// The one description of function.toml: every key with its type and range. Parsing TOML, parsing
// JSON, writing JSON and the documentation's test all visit it.
//
// Thread rule: pure functions.
#pragma once

#include "function/manifest.h"
#include "function/settings.h"

namespace hybridserve {

void VisitManifest(SettingsVisitor& visitor, Manifest& manifest);

/// The keys engine and compiler of a [wasm] section, a function's or a node's.
void VisitEngineChoice(SettingsVisitor& visitor, EngineChoice& choice);

/// Reads, checks and completes a manifest from a parsed document; `document` names it in errors.
Result<Manifest> ManifestFromSettings(const SettingsNode& root, std::string_view document);

}  // namespace hybridserve
