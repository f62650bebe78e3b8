// vernier eval: perplexity, and KL divergence from a reference, of any checkpoint that Vernier
// reads.
#include "jobs/eval.h"

#include "recipes/recipe_values.h"
#include "tools/command.h"
#include "tools/eval_text.h"
#include "tools/progress_writer.h"
#include "tools/read_spec.h"
#include "tools/torch.h"

namespace vernier::tools {
namespace {

jobs::EvalSpec ReadEvalSpec(const Arguments& arguments) {
  jobs::EvalSpec spec;
  spec.forward = ReadForwardSpec(arguments);
  arguments.Read("CHECKPOINT", spec.checkpoint);
  arguments.Read("--reference", spec.reference);
  arguments.Read("--data", spec.data);
  arguments.Read("--input-ids", spec.input_ids);
  arguments.Read("--tokenizer", spec.tokenizer);
  arguments.Read("--variants", spec.variants);
  datasets::WindowSpec& windows = spec.windows;
  arguments.Read("--window", windows.window);
  arguments.Read("--stride", windows.stride);
  arguments.Read("--windows", windows.max_windows);
  arguments.ReadName("--bos", recipes::kWindowBos, windows.bos);
  arguments.ReadName("--chat-format", recipes::kChatFormats, windows.chat_format);
  arguments.Read("--column", windows.column);
  return spec;
}

}  // namespace

int RunEval(const Arguments& arguments, const CommandContext& context) {
  const jobs::EvalSpec spec = ReadEvalSpec(arguments);
  jobs::CheckEvalSpec(spec);
  const jobs::ModelJobs& models = RequireTorch(context);
  ProgressWriter progress(context.progress);
  const jobs::EvalSummary summary = models.Evaluate(spec, progress);
  PrintOrWriteJson(arguments, jobs::EvalJson(summary), EvalText(summary));
  return 0;
}

}  // namespace vernier::tools
