// How an output is served: commands, and what hardware does with its formats.
#ifndef VERNIER_REPORT_CARD_SERVING_H_
#define VERNIER_REPORT_CARD_SERVING_H_

#include <string>

#include "report/model_card.h"

namespace vernier::report {

// Whether the audit found nothing that keeps an engine from the output; without an audit too.
bool LoadsOutput(const CardContent& content, audit::Engine engine);

// The section "Serving": a command for each engine that loads the output, as far as it was audited.
std::string ServingSection(const CardContent& content);

// The section "Hardware": a line for each format that the output's weights are stored in.
std::string HardwareSection(const CardContent& content);

}  // namespace vernier::report

#endif  // VERNIER_REPORT_CARD_SERVING_H_
