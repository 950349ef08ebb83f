/* The engine for C: opaque handles and error codes; no exception leaves a function. */
#ifndef FAT_ENGINE_H_INCLUDED
#define FAT_ENGINE_H_INCLUDED

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define FAT_C_API __attribute__((visibility("default")))
#else
#define FAT_C_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fat_engine fat_engine;   /* shared by any number of threads */
typedef struct fat_session fat_session; /* of one caller */

enum { FAT_OK = 0, FAT_ERROR = 1 };

/* What the last call on this thread that returned FAT_ERROR met; "" where none did. */
FAT_C_API const char *fat_last_error(void);

FAT_C_API int fat_engine_open(const char *path, fat_engine **engine);
FAT_C_API int fat_engine_open_memory(const void *npz, size_t size, fat_engine **engine);
FAT_C_API void fat_engine_close(fat_engine *engine); /* sessions may outlive it; NULL is fine */

/* Elements of one sample: of all inputs, of all outputs. */
FAT_C_API size_t fat_engine_input_size(const fat_engine *engine);
FAT_C_API size_t fat_engine_output_size(const fat_engine *engine);

FAT_C_API int fat_session_open(const fat_engine *engine, size_t threads, fat_session **session);
FAT_C_API void fat_session_close(fat_session *session);

/* Any number of samples; sizes are numbers of elements. */
FAT_C_API int fat_session_run_pixels(fat_session *session, const uint8_t *pixels, size_t pixel_count, float *outputs,
                                     size_t output_count);
FAT_C_API int fat_session_run(fat_session *session, const float *inputs, size_t input_count, float *outputs,
                              size_t output_count);

#ifdef __cplusplus
}
#endif

#endif
