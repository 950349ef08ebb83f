// The C99 text that fast kernels share, for plain C, Arm's DSP extension and Helium in one file: requantization, windows, sums.
#ifndef FAT_IO_C_PRODUCT_KERNELS_HPP_INCLUDED
#define FAT_IO_C_PRODUCT_KERNELS_HPP_INCLUDED

#include <fat/io/c_kernels.hpp>

namespace fat::inline FAT_ABI {
namespace detail {

/// For layers whose zero points are folded into the biases and whose multipliers are below 1/4, so that the upper half of a
/// product of 64 bits decides the code. These pieces follow those of c_kernels.
///
/// Weights [out / 4][depth / 4][4][4]: four of a channel, four of the next; each run of taps that are neighbours in memory
/// is filled up with weights of 0 to a multiple of four. depth: the weights of a channel, those included.
/// Scratch memory: two windows of pixels, one byte each (plain C, Helium) or two (DSP).
inline constexpr CKernel c_product_kernels[] = {
    {"rescale", " target ",
     R"(/* floor(a * b / 2^32), b >= 0. Right shifts of negative numbers copy the sign, here as in every compiler for these
   processors. */
static inline int32_t @_high_word(int32_t a, int32_t b) {
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__) /* no multiplication gives 64 bits */
  const int32_t upper = a >> 16, lower = (int32_t)((uint32_t)a & 0xFFFFU), b_upper = b >> 16, b_lower = b & 0xFFFF;
  const int32_t first = upper * b_lower + (int32_t)(((uint32_t)lower * (uint32_t)b_lower) >> 16);
  const int32_t second = lower * b_upper + (first & 0xFFFF);
  return upper * b_upper + (first >> 16) + (second >> 16);
#else
  return (int32_t)(((int64_t)a * b) >> 32);
#endif
}

/* value * multiplier / 2^(33 + shift) to the nearest integer, halves up. */
static inline int32_t @_rescale(int32_t value, int32_t multiplier, int32_t shift) {
  return ((@_high_word(value, multiplier) >> shift) + 1) >> 1;
}

/* A code held between 0 and 255. */
static inline int32_t @_byte(int32_t code) { return code < 0 ? 0 : code > 255 ? 255 : code; }
)"},
    {"sums", " rescale window ",
     R"(/* A layer with weights: sums are shifted to the left, multiplied and shifted to the right. Multipliers and shifts: one for
   each output channel, or one (step 0). Taps outside the image are in_zero. A window has kernel_height * runs runs of
   `taps` taps that are neighbours in memory. */
typedef struct {
  @_window window;
  int32_t depth, taps, runs, step, left, in_zero, out_zero, narrow, low, high; /* narrow: not 0 to 255 */
  const uint32_t *weights;
  const int32_t *bias, *multipliers;
  const uint8_t *shifts;
} @_sums;

#if $_TARGET == 2
/* turn: -1 - shift. */
static inline int32x4_t @_rescale_four(int32x4_t value, int32_t left, int32x4_t multiplier, int32x4_t turn) {
  return vrshlq_s32(vmulhq_s32(vshlq_r_s32(value, left), multiplier), turn);
}
#else
/* Of one sum; without the bounds low and high. */
static inline int32_t @_rescaled(const @_sums *p, int32_t m, uint32_t sum) {
  const int32_t value = @_rescale((int32_t)(sum << p->left), p->multipliers[m], p->shifts[m]);
  return @_byte(value + p->out_zero);
}
static inline int32_t @_within(const @_sums *p, int32_t code) {
  return code < p->low ? p->low : code > p->high ? p->high : code;
}
#endif
#if $_TARGET == 1
static inline uint32_t @_word(const uint8_t *bytes) {
  uint32_t word;
  memcpy(&word, bytes, 4);
  return word;
}
/* Bytes 0 and 2, bytes 1 and 3 of a word in 16 bits each. */
static inline int16x2_t @_even(uint32_t word) { return __sxtb16((int8x4_t)word); }
static inline int16x2_t @_odd(uint32_t word) {
  int16x2_t result;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(word));
  return result;
}
static inline uint32_t @_even_bytes(uint32_t word) { /* arm_acle.h differs between compilers in the type of __uxtb16 */
  uint32_t result;
  __asm__("uxtb16 %0, %1" : "=r"(result) : "r"(word));
  return result;
}
static inline uint32_t @_odd_bytes(uint32_t word) {
  uint32_t result;
  __asm__("uxtb16 %0, %1, ror #8" : "=r"(result) : "r"(word));
  return result;
}
static inline uint32_t @_pairs(uint32_t x, int16x2_t w, uint32_t sum) {
  return (uint32_t)__smlad((int16x2_t)x, w, (int32_t)sum);
}
/* Two words at `from`, which moves on by `bytes`. */
#define $_TWO_WORDS(first, second, from, bytes) \
  __asm__ volatile("ldrd %0, %1, [%2], #" #bytes : "=r"(first), "=r"(second), "+r"(from) : : "memory")
#endif
)"},
    {"gather", " sums ",
     R"(/* How two windows lie in scratch memory: as bytes; as 16 bits in the order 0 2 1 3, four of a pixel and four of the next;
   as signed bytes filled up with 0 to a multiple of 16. */
#if $_TARGET == 1
typedef uint32_t @_lane;
#define $_NEXT_WINDOW(depth) 2
#else
typedef uint8_t @_lane;
#define $_NEXT_WINDOW(depth) (((depth) + 15) / 16 * 16)
#endif

/* Bytes to one window; up to 15 more may be read and written. */
static inline void @_take(int32_t size, const uint8_t *x, @_lane *to) {
  int32_t i;
#if $_TARGET == 2
  for (i = 0; i < size; i += 16) vst1q_u8(to + i, veorq_u8(vld1q_u8(x + i), vdupq_n_u8(128)));
#elif $_TARGET == 1
  for (i = 0; i < size; i += 4) {
    const uint32_t word = @_word(x + i);
    to[i] = @_even_bytes(word), to[i + 1] = @_odd_bytes(word);
  }
#else
  if ((((uintptr_t)x | (uintptr_t)to) & 3U) == 0) { /* the arena consists of words */
    const uint32_t *from = (const uint32_t *)(const void *)x;
    uint32_t *words = (uint32_t *)(void *)to;
    for (i = 0; i < size; i += 4) *words++ = *from++;
  } else
    for (i = 0; i < size; ++i) to[i] = x[i];
#endif
}
static inline void @_repeat(int32_t size, int32_t code, @_lane *to) {
  int32_t i;
#if $_TARGET == 1
  for (i = 0; i < size; i += 4) to[i] = to[i + 1] = (uint32_t)(code * 0x10001);
#else
  const uint8_t byte = (uint8_t)($_TARGET == 2 ? code ^ 128 : code);
#if $_TARGET == 2
  for (i = 0; i < size; i += 16) vst1q_u8(to + i, vdupq_n_u8(byte));
#else
  for (i = 0; i < size; ++i) to[i] = byte;
#endif
#endif
}
static inline void @_put(int32_t at, int32_t code, @_lane *to) {
#if $_TARGET == 1
  const int32_t half = (at & 2) * 8;
  uint32_t *const word = to + (at & ~3) + (at & 1);
  *word = (*word & ~(0xFFFFU << half)) | (uint32_t)code << half;
#else
  to[at] = (uint8_t)($_TARGET == 2 ? code ^ 128 : code);
#endif
}

/* The window of output pixel (oy, ox). */
static $_KERNEL void @_gather(const @_sums *p, const uint8_t *x, int32_t oy, int32_t ox, @_lane *to) {
  const @_window *const g = &p->window;
  const int32_t channels = g->in_channels, taps = p->taps, size = taps * channels;
  int32_t row = oy * g->stride_height - g->pad_top, ky, run, at;
  for (ky = 0; ky < g->kernel_height; ++ky, row += g->dilation_height) {
    int32_t column = ox * g->stride_width - g->pad_left;
    for (run = 0; run < p->runs; ++run, column += g->dilation_width, to += (size + 3) & ~3) {
      const int32_t start = (row * g->in_width + column) * channels;
      if (row < 0 || row >= g->in_height || column + taps <= 0 || column >= g->in_width)
        @_repeat(size, p->in_zero, to);
      else if (column >= 0 && column + taps <= g->in_width)
        @_take(size, x + start, to);
      else {
        const int32_t first = column < 0 ? -column * channels : 0;
        const int32_t last = column + taps > g->in_width ? (g->in_width - column) * channels : size;
        if (channels % 4 == 0) {
          @_repeat(first, p->in_zero, to);
          @_take(last - first, x + (start + first), to + first);
          @_repeat(size - last, p->in_zero, to + last);
        } else
          for (at = 0; at < size; ++at) @_put(at, at < first || at >= last ? p->in_zero : x[start + at], to);
      }
    }
  }
#if $_TARGET == 2
  if (p->depth % 16 != 0) vst1q_u8(to, vdupq_n_u8(0));
#endif
}
)"},
    {"sum", " rescale ",
     R"(/* Sum of a[size] and b[size]. Differences from the zero points are shifted to the left by `lefts`. */
typedef struct {
  int32_t size, a_zero, b_zero, a_left, b_left, left, a_multiplier, b_multiplier, multiplier, a_shift, b_shift, shift,
      out_zero, low, high;
} @_addends;

static $_INLINE void @_sum(const @_addends *s, const uint8_t *a, const uint8_t *b, uint8_t *y) {
  int32_t i;
#if $_TARGET == 2
  for (i = 0; i < s->size; i += 4) {
    const mve_pred16_t real = vctp32q((uint32_t)(s->size - i));
    int32x4_t u = vreinterpretq_s32_u32(vldrbq_u32(a + i)), v = vreinterpretq_s32_u32(vldrbq_u32(b + i));
    u = vmulhq_s32(vshlq_r_s32(vsubq_n_s32(u, s->a_zero), s->a_left), vdupq_n_s32(s->a_multiplier));
    v = vmulhq_s32(vshlq_r_s32(vsubq_n_s32(v, s->b_zero), s->b_left), vdupq_n_s32(s->b_multiplier));
    u = vaddq_s32(vrshlq_s32(u, vdupq_n_s32(-1 - s->a_shift)), vrshlq_s32(v, vdupq_n_s32(-1 - s->b_shift)));
    u = vmulhq_s32(vshlq_r_s32(u, s->left), vdupq_n_s32(s->multiplier));
    u = vaddq_n_s32(vrshlq_s32(u, vdupq_n_s32(-1 - s->shift)), s->out_zero);
    u = vminq_s32(vmaxq_s32(u, vdupq_n_s32(s->low)), vdupq_n_s32(s->high));
    vstrbq_p_s32((int8_t *)y + i, u, real);
  }
#else
  for (i = 0; i < s->size; ++i) {
    const int32_t u = @_rescale((a[i] - s->a_zero) * (1 << s->a_left), s->a_multiplier, s->a_shift);
    const int32_t v = @_rescale((b[i] - s->b_zero) * (1 << s->b_left), s->b_multiplier, s->b_shift);
    int32_t code = @_rescale((u + v) * (1 << s->left), s->multiplier, s->shift) + s->out_zero;
    code = @_byte(code);
    code = code < s->low ? s->low : code;
    y[i] = (uint8_t)(code > s->high ? s->high : code);
  }
#endif
}
)"},
};

}  // namespace detail
}  // namespace fat::inline FAT_ABI

#endif
