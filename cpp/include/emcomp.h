/* emcomp: rows, bags and nearest rows straight from compressed embedding tables.
 *
 * The interface in C, for C and for every language that can call it. C++ programs have emcomp.hpp.
 *
 * - Functions that can fail return EMCOMP_OK or the kind of error. What went wrong is then in
 *   emcomp_last_error(), for the thread that called. Whatever they were to write is undefined.
 * - A table is immutable: any number of threads may use it at once, and forked children too.
 *   emcomp_close() comes after the last use.
 * - Sizes of buffers are counts of elements, not bytes.
 * - `threads` is the most that a call may use; 0 takes the environment's EMCOMP_NUM_THREADS, else
 *   OpenMP's default. Results are the same bits for any number, and the same as in Python.
 * - Row ids are from -rows to rows - 1; negative ones count from the end.
 */
#ifndef EMCOMP_H
#define EMCOMP_H

#include <stddef.h>
#include <stdint.h>

/* The interface: a program runs with any library of the same major number and at least its minor
 * number. The package's own version is in emcomp_version(). */
#define EMCOMP_ABI_MAJOR 1
#define EMCOMP_ABI_MINOR 0

#if defined(__GNUC__)
#define EMCOMP_API __attribute__((visibility("default")))
#else
#define EMCOMP_API
#endif

#if defined(__cplusplus)
extern "C" {
#endif

typedef enum emcomp_status {
  EMCOMP_OK = 0,
  EMCOMP_INVALID_ARGUMENT = 1, /* arguments that do not fit together, a bad environment variable */
  EMCOMP_OUT_OF_RANGE = 2,     /* a row id or an offset */
  EMCOMP_UNKNOWN_WORD = 3,     /* a word that is not there, or any word of a table without words */
  EMCOMP_NOT_A_TABLE = 4,      /* not an emcomp file, or one that needs another version */
  EMCOMP_CORRUPT_FILE = 5,     /* an emcomp file that is damaged or cut short */
  EMCOMP_IO_ERROR = 6,         /* a file that cannot be read */
  EMCOMP_OUT_OF_MEMORY = 7,
  EMCOMP_INCOMPATIBLE = 8, /* a program made for another interface, a library in pieces, or an
                              EMCOMP_ISA that is not available */
  EMCOMP_INTERNAL = 9      /* a mistake in emcomp */
} emcomp_status;

typedef enum emcomp_mode { EMCOMP_SUM = 0, EMCOMP_MEAN = 1, EMCOMP_MAX = 2 } emcomp_mode;

/* A table that is open. */
typedef struct emcomp_table emcomp_table;

/* Whether a program compiled with EMCOMP_ABI_MAJOR and EMCOMP_ABI_MINOR can use this library. */
EMCOMP_API emcomp_status emcomp_check_abi(int major, int minor);

/* The package's version, such as "0.1.0". */
EMCOMP_API const char* emcomp_version(void);

/* The instruction-set level in use, such as "v3", or null where none can be used: the best that
 * this processor runs, or the one that the environment's EMCOMP_ISA names. */
EMCOMP_API const char* emcomp_isa(void);

/* What the last failed call of this thread did not like; empty before any. Valid until the next
 * failure in this thread. */
EMCOMP_API const char* emcomp_last_error(void);

/* Maps a file and checks its header and small tensors: milliseconds for any size. The file must not
 * be changed in place while it is open; to replace it, rename another one over it. */
EMCOMP_API emcomp_status emcomp_open(const char* path, emcomp_table** table);

/* Gives the table back. Null is allowed. */
EMCOMP_API void emcomp_close(emcomp_table* table);

/* Reads the whole file and checks every byte against its checksums. */
EMCOMP_API emcomp_status emcomp_verify(const emcomp_table* table);

EMCOMP_API int64_t emcomp_rows(const emcomp_table* table);
EMCOMP_API int64_t emcomp_dim(const emcomp_table* table);

/* What the table was compressed with, such as "uniform:4"; valid as long as the table. */
EMCOMP_API const char* emcomp_codec(const emcomp_table* table);

/* 1 if the rows have words, else 0. */
EMCOMP_API int emcomp_has_words(const emcomp_table* table);

/* Rows of ids to out [count, dim]; out_size is count * dim. */
EMCOMP_API emcomp_status emcomp_lookup(const emcomp_table* table, const int64_t* ids, size_t count,
                                       float* out, size_t out_size, int threads);

/* The sum, mean or maximum of bags of rows to out [bags, dim]; out_size is bags * dim. Bag i has
 * the ids from offsets[i] up to offsets[i + 1], the last one the rest; offsets ascend and begin
 * with 0. weights is null or has one for each id, for EMCOMP_SUM only. An empty bag is a row of
 * zeros. */
EMCOMP_API emcomp_status emcomp_bag(const emcomp_table* table, const int64_t* ids, size_t count,
                                    const int64_t* offsets, size_t bags, const float* weights,
                                    emcomp_mode mode, float* out, size_t out_size, int threads);

/* The rows of largest cosine with a vector of dim finite numbers, best first, ties by the smaller
 * row, to rows [k] and cosines [k]. found is how many there are: less than k in a small table. */
EMCOMP_API emcomp_status emcomp_similar(const emcomp_table* table, const float* query, size_t dim,
                                        size_t k, int64_t* rows, double* cosines, size_t* found,
                                        int threads);

/* The same for a row of the table, which is not its own neighbour. */
EMCOMP_API emcomp_status emcomp_similar_to_row(const emcomp_table* table, int64_t row, size_t k,
                                               int64_t* rows, double* cosines, size_t* found,
                                               int threads);

/* The row of a word, given as bytes (UTF-8 as a rule). */
EMCOMP_API emcomp_status emcomp_find_word(const emcomp_table* table, const char* word,
                                          size_t length, int64_t* row);

/* The word of a row: bytes in the table, not ended by zero, valid as long as the table. */
EMCOMP_API emcomp_status emcomp_word(const emcomp_table* table, int64_t row, const char** word,
                                     size_t* length);

#if defined(__cplusplus)
}
#endif

#endif
