#!/usr/bin/env bash
# Seen: in C++, with PyTorch 2.13.0, `x.view({})` of a tensor with one F32 element is no scalar: it is a uint8 tensor of
# four elements. `x.reshape({})` is the scalar. Neither compiler (GCC 12.2, all warnings) nor library says anything.
# Why it matters: view has an overload for a dtype, which an empty brace list matches better than a shape, and the first
# dtype is uint8. Of a tensor on its way to a sum, a comparison or item() the bytes of its numbers go on as numbers. The
# same line in Python, x.view(()), makes the scalar.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy
torch=$(echo "$work"/venv/lib/python3*/site-packages/torch)

cat > "$work/view.cc" <<'CC'
#include <ATen/ATen.h>

#include <cstdio>

void Show(const char* name, const at::Tensor& x) {
  std::printf("%s: %lld dimensions, %lld elements of %s\n", name, static_cast<long long>(x.dim()),
              static_cast<long long>(x.numel()), c10::toString(x.scalar_type()));
}

int main() {
  const at::Tensor one = at::ones({1});
  Show("view({})", one.view({}));
  Show("reshape({})", one.reshape({}));
}
CC
g++ -std=c++20 -Wall -Wextra -Werror -isystem "$torch/include" "$work/view.cc" -o "$work/view" \
  -L "$torch/lib" -Wl,-rpath,"$torch/lib" -Wl,--no-as-needed -ltorch_cpu -lc10

said=$("$work/view"; "$work/venv/bin/python" -c '
import torch
x = torch.ones(1).view(())
print(f"Python, view(()): {x.dim()} dimensions, {x.numel()} elements of {x.dtype}")')
echo "$said"
expected='view({}): 1 dimensions, 4 elements of Byte
reshape({}): 0 dimensions, 1 elements of Float
Python, view(()): 0 dimensions, 1 elements of torch.float32'
if [[ $said != "$expected" ]]; then
  echo "This has changed."
  exit 1
fi
echo "As seen: empty braces are a dtype."
