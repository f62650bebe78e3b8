// The lines between --- and --- at the head of a README.md, by which hubs index a model.
#ifndef VERNIER_REPORT_CARD_FRONT_MATTER_H_
#define VERNIER_REPORT_CARD_FRONT_MATTER_H_

#include <string>
#include <string_view>

namespace vernier::report {

// The fields of a released model's card that are true of a quantised one too: its licence and
// languages, and what it is for. Each with its lines as they are, if they can stand alone (no block
// of text, no bracket that stays open); empty: there are none.
std::string CarriedFrontMatter(std::string_view readme);

// The value of a field that stands on one line, without quotes; empty: there is none.
std::string FrontMatterValue(std::string_view readme, std::string_view field);

}  // namespace vernier::report

#endif  // VERNIER_REPORT_CARD_FRONT_MATTER_H_
