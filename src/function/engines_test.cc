#include "function/engines.h"

#include <gmock/gmock.h>

namespace hybridserve {
namespace {

using testing::HasSubstr;

TEST(EnginesTest, WithoutAWordTheFirstEngineAndItsFirstCompilerAreTaken) {
  EXPECT_EQ(CompleteChoice({}, {}), (EngineChoice{"wasmtime", "cranelift"}));
}

TEST(EnginesTest, TheFunctionsWordGoesBeforeTheNodes) {
  const EngineChoice node{"wasmtime", "winch"};
  EXPECT_EQ(CompleteChoice({}, node), node);
  EXPECT_EQ(CompleteChoice({"wasmer", "llvm"}, node), (EngineChoice{"wasmer", "llvm"}));
}

TEST(EnginesTest, TheNodesCompilerIsNotThatOfAnotherEngine) {
  EXPECT_EQ(CompleteChoice({"wasmer", ""}, {"wasmtime", "winch"}),
            (EngineChoice{"wasmer", "cranelift"}));
}

TEST(EnginesTest, EveryEngineHasACompilerAndEachOfThemPasses) {
  for (const EngineNames& engine : KnownEngines()) {
    ASSERT_FALSE(engine.compilers.empty());
    EXPECT_TRUE(CheckEngineChoice(engine.name, ""));
    for (const std::string_view compiler : engine.compilers) {
      EXPECT_TRUE(CheckEngineChoice(engine.name, compiler));
    }
  }
}

TEST(EnginesTest, AnUnknownNameIsToldWithThoseThereAre) {
  EXPECT_THAT(CheckEngineChoice("v8", "").error().message,
              HasSubstr("no engine 'v8'; there are wasmtime, wasmer and wasmedge"));
  EXPECT_THAT(CheckEngineChoice("wasmer", "winch").error().message,
              HasSubstr("wasmer has no compiler 'winch'; it has cranelift, singlepass, llvm"));
  EXPECT_THAT(CheckEngineChoice("", "llvm").error().message, HasSubstr("write engine, too"));
}

}  // namespace
}  // namespace hybridserve
