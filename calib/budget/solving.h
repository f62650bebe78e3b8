// What a calibration needs that solves weights itself (calib/weight_solver.h).
#ifndef VERNIER_CALIB_BUDGET_SOLVING_H_
#define VERNIER_CALIB_BUDGET_SOLVING_H_

#include <cstdint>

#include "checkpoint/model_layout.h"
#include "recipes/plan.h"

namespace vernier::calib {

// Bytes and numbers of the largest layer; zeros where nothing is solved.
struct SolvingSizes {
  uint64_t dense_sums = 0;     // Hessians and samples of the inputs of all but routed experts
  uint64_t dense_columns = 0;  // input channels of these: a batch's inputs are held until its end
  uint64_t expert_sums = 0;    // the same of one routed expert
  bool keeps_experts = false;  // values of a group stay until its weights are solved
  uint64_t workspace = 0;      // while weights with the same inputs are solved
  uint64_t codes = 0;          // of all layers: what is kept of solved weights
  // Of all layers: products of Hessians by token that every weight sees, and that a routed expert's
  // does.
  double dense_flops = 0;
  double expert_flops = 0;
  double search_flops = 0;  // of all layers: scales of what folds and formats are tried with
  double solve_flops = 0;   // of all layers: factors, and products of compensation
};
SolvingSizes MeasureSolving(const checkpoint::ModelLayout& layout, const recipes::Plan& plan);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_BUDGET_SOLVING_H_
