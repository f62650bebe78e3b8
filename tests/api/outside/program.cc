#include <vernier/vernier.h>

#include <iostream>

int main(int, char** argv) {
  std::cout << vernier::Inspect({argv[1]}).model_type << "\n";
  vernier::ConvertSpec spec;
  spec.source = argv[1];
  spec.output = argv[2];
  spec.input_scale = 1.0;
  vernier::Convert(spec, [](const vernier::Progress& progress) {
    std::cout << progress.phase << " " << 100 * progress.fraction << " %\n";
    return true;  // go on
  });
  spec.weights = "nvfp5";
  try {
    vernier::Convert(spec);
  } catch (const vernier::Error& error) {
    std::cout << error.code() << " " << error.problem() << "\n";
  }
}
