#include "jobs/generate.h"

namespace vernier::jobs {

Json GenerateJson(const std::vector<GeneratedText>& texts) {
  Json json = Json::array();
  for (const GeneratedText& text : texts) {
    json.push_back({{"prompt", text.prompt},
                    {"prompt_ids", text.prompt_ids},
                    {"ids", text.ids},
                    {"text", text.text},
                    {"ended", text.ended}});
  }
  return json;
}

}  // namespace vernier::jobs
