#include "report/audit_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::report {
namespace {

namespace fs = std::filesystem;

class AuditRecordTest : public ::testing::Test {
 protected:
  AuditRecordTest() {
    Write("config.json", "{}");
    Write("vernier_manifest.json", "{\n\"plan_hash\": \"a\"}");
    Write("model.safetensors", "weights");
  }

  void Write(const std::string& name, std::string_view text) const {
    WriteFileAtomically(dir_.path() / name, text);
  }
  std::string State() const { return OutputState(dir_.path()); }
  const fs::path& Dir() const { return dir_.path(); }

 private:
  testing::TempDir dir_;
};

TEST_F(AuditRecordTest, ComesBackAsItWasSaved) {
  EXPECT_FALSE(LoadAudit(Dir()).has_value());
  const AuditRecord record{.plan_hash = "abc",
                           .output = "/out",
                           .source = "/in",
                           .output_state = State(),
                           .audit = {{"clean", true}, {"worst", {1.5, nullptr}}}};
  SaveAudit(Dir(), record);
  const std::optional<AuditRecord> loaded = LoadAudit(Dir());
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->plan_hash, "abc");
  EXPECT_EQ(loaded->output, "/out");
  EXPECT_EQ(loaded->source, "/in");
  EXPECT_EQ(loaded->output_state, record.output_state);
  EXPECT_EQ(loaded->audit, record.audit);
}

TEST_F(AuditRecordTest, OfAnotherVersionIsNone) {
  Write("audit.json", R"({"format": "vernier.audit", "version": 0})");
  EXPECT_FALSE(LoadAudit(Dir()).has_value());
}

TEST_F(AuditRecordTest, DamageIsAnError) {
  Write("audit.json", "{\"version\": 1");
  EXPECT_VERNIER_ERROR(LoadAudit(Dir()), ErrorCode::kBadJson, "audit.json");
  Write("audit.json", "{\"version\": 1}");
  EXPECT_VERNIER_ERROR(LoadAudit(Dir()), ErrorCode::kBadJson, "plan_hash");
}

TEST_F(AuditRecordTest, TheStateChangesWithTheCheckpointAndNothingElse) {
  const std::string state = State();
  Write("README.md", "not part of the checkpoint");
  EXPECT_EQ(State(), state);
  Write("config.json", "[]");
  EXPECT_NE(State(), state) << "as long as before";
  Write("config.json", "{}");
  EXPECT_EQ(State(), state);
  Write("vernier_manifest.json", "{\n\"plan_hash\": \"b\"}");
  EXPECT_NE(State(), state);
  Write("vernier_manifest.json", "{\n\"plan_hash\": \"a\"}");
  Write("model.safetensors", "shorter");
  EXPECT_EQ(State(), state) << "weights are not read";
  Write("model.safetensors", "long");
  EXPECT_NE(State(), state);
  fs::remove(Dir() / "model.safetensors");
  EXPECT_NE(State(), state);
}

}  // namespace
}  // namespace vernier::report
