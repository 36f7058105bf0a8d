/* Prints what a table says of two rows and a word:  describe_c FILE WORD */

#include <emcomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(emcomp_status status) {
  if (status == EMCOMP_OK) return;
  fprintf(stderr, "status %d: %s\n", (int)status, emcomp_last_error());
  exit(1);
}

static void print_floats(const char* name, const float* values, size_t count) {
  size_t i;
  printf("%s", name);
  for (i = 0; i < count; ++i) printf(" %a", (double)values[i]);
  printf("\n");
}

int main(int argc, char** argv) {
  emcomp_table* table = NULL;
  const int64_t ids[] = {0, -1};
  const int64_t offsets[] = {0};
  int64_t row = 0;
  int64_t rows[3];
  double cosines[3];
  size_t found = 0;
  size_t i;
  size_t dim;
  float* out;

  if (argc != 3) return 2;
  require(emcomp_check_abi(EMCOMP_ABI_MAJOR, EMCOMP_ABI_MINOR));
  require(emcomp_open(argv[1], &table));
  dim = (size_t)emcomp_dim(table);
  out = malloc(2 * dim * sizeof *out);
  if (out == NULL) return 1;
  printf("shape %lld %lld\n", (long long)emcomp_rows(table), (long long)dim);
  printf("codec %s\n", emcomp_codec(table));
  printf("isa %s\n", emcomp_isa());
  require(emcomp_lookup(table, ids, 2, out, 2 * dim, 0));
  print_floats("lookup", out, 2 * dim);
  require(emcomp_bag(table, ids, 2, offsets, 1, NULL, EMCOMP_MEAN, out, dim, 0));
  print_floats("bag", out, dim);
  require(emcomp_find_word(table, argv[2], strlen(argv[2]), &row));
  require(emcomp_similar_to_row(table, row, 3, rows, cosines, &found, 0));
  for (i = 0; i < found; ++i) {
    const char* word = NULL;
    size_t length = 0;
    require(emcomp_word(table, rows[i], &word, &length));
    printf("similar %.*s %a\n", (int)length, word, cosines[i]);
  }
  free(out);
  emcomp_close(table);
  return 0;
}
