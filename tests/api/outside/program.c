#include <stdio.h>
#include <vernier/c.h>

static int on_progress(void* user, const vernier_progress* progress) {
  (void)user;
  printf("%s %.0f %%\n", progress->phase, 100 * progress->fraction);
  return 0; /* go on */
}

int main(int argc, char** argv) {
  char spec[4096];
  char* text = NULL;
  if (argc < 3) return 2;
  snprintf(spec, sizeof spec, "{\"checkpoint\": \"%s\"}", argv[1]);
  if (vernier_run_job("inspect", spec, NULL, NULL, &text, NULL) != VERNIER_OK) return 1;
  puts(text);
  vernier_free(text);
  snprintf(spec, sizeof spec, "{\"source\": \"%s\", \"output\": \"%s\", \"input_scale\": 1.0}",
           argv[1], argv[2]);
  if (vernier_run_job("convert", spec, on_progress, NULL, NULL, NULL) != VERNIER_OK) return 1;
  if (vernier_run_job("convert", "{\"sauce\": 1}", NULL, NULL, NULL, &text) == VERNIER_OK) return 1;
  puts(text);
  vernier_free(text);
  return 0;
}
