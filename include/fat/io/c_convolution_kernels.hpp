// The C99 text of the fast convolutions, for plain C, Arm's DSP extension and Helium in one file.
#ifndef FAT_IO_C_CONVOLUTION_KERNELS_HPP_INCLUDED
#define FAT_IO_C_CONVOLUTION_KERNELS_HPP_INCLUDED

#include <fat/io/c_product_kernels.hpp>

namespace fat::inline FAT_ABI {
namespace detail {

/// They follow the pieces of c_product_kernels, which say how weights and windows lie.
inline constexpr CKernel c_convolution_kernels[] = {
    {"convolve", " gather ",
     R"(#if $_TARGET == 2
/* The codes of two output pixels of which a and b are the windows; of one where `pixels` is 1. */
static $_KERNEL void @_outputs(const @_sums *p, const uint8_t *a, const uint8_t *b, int32_t pixels, uint8_t *y) {
  const int32_t channels = p->window.out_channels, depth = p->depth;
  const int32_t *w = (const int32_t *)p->weights;
  int32_t c;
  for (c = 0; c < channels; c += 4, y += 4) {
    const uint8_t *x = a, *z = b;
    int32_t s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0, count = (depth + 15) / 16;
    const int32_t *from = w;
    int32x4_t first = vdupq_n_s32(0), second = first, bias, multiplier, turn;
    int16x8_t codes = vdupq_n_s16(0);
#if defined(__OPTIMIZE__)
    __asm__ volatile(
        "1: vldrb.8 q0, [%[x]], #16\n"
        "vldrb.8 q1, [%[z]], #16\n"
        "vld40.32 {q2, q3, q4, q5}, [%[w]]\n"
        "vld41.32 {q2, q3, q4, q5}, [%[w]]\n"
        "vld42.32 {q2, q3, q4, q5}, [%[w]]\n"
        "vld43.32 {q2, q3, q4, q5}, [%[w]]!\n"
        "vmladava.s8 %[s00], q0, q2\n"
        "vmladava.s8 %[s10], q1, q2\n"
        "vmladava.s8 %[s01], q0, q3\n"
        "vmladava.s8 %[s11], q1, q3\n"
        "vmladava.s8 %[s02], q0, q4\n"
        "vmladava.s8 %[s12], q1, q4\n"
        "vmladava.s8 %[s03], q0, q5\n"
        "vmladava.s8 %[s13], q1, q5\n"
        "subs %[count], #1\n"
        "bne 1b\n"
        : [x] "+r"(x), [z] "+r"(z), [w] "+r"(from), [count] "+r"(count), [s00] "+Te"(s00), [s01] "+Te"(s01),
          [s02] "+Te"(s02), [s03] "+Te"(s03), [s10] "+Te"(s10), [s11] "+Te"(s11), [s12] "+Te"(s12), [s13] "+Te"(s13)
        :
        : "q0", "q1", "q2", "q3", "q4", "q5", "cc", "memory");
#else /* too few registers are free */
    for (; count > 0; --count, x += 16, z += 16, from += 16) {
      const int8x16_t p0 = vreinterpretq_s8_u8(vld1q_u8(x)), p1 = vreinterpretq_s8_u8(vld1q_u8(z));
      const int32x4x4_t four = vld4q_s32(from);
      s00 = vmladavaq_s8(s00, p0, vreinterpretq_s8_s32(four.val[0]));
      s01 = vmladavaq_s8(s01, p0, vreinterpretq_s8_s32(four.val[1]));
      s02 = vmladavaq_s8(s02, p0, vreinterpretq_s8_s32(four.val[2]));
      s03 = vmladavaq_s8(s03, p0, vreinterpretq_s8_s32(four.val[3]));
      s10 = vmladavaq_s8(s10, p1, vreinterpretq_s8_s32(four.val[0]));
      s11 = vmladavaq_s8(s11, p1, vreinterpretq_s8_s32(four.val[1]));
      s12 = vmladavaq_s8(s12, p1, vreinterpretq_s8_s32(four.val[2]));
      s13 = vmladavaq_s8(s13, p1, vreinterpretq_s8_s32(four.val[3]));
    }
#endif
    w += depth;
    first = vsetq_lane_s32(s00, first, 0), first = vsetq_lane_s32(s01, first, 1);
    first = vsetq_lane_s32(s02, first, 2), first = vsetq_lane_s32(s03, first, 3);
    second = vsetq_lane_s32(s10, second, 0), second = vsetq_lane_s32(s11, second, 1);
    second = vsetq_lane_s32(s12, second, 2), second = vsetq_lane_s32(s13, second, 3);
    bias = vld1q_s32(p->bias + c);
    if (p->step != 0) {
      multiplier = vld1q_s32(p->multipliers + c);
      turn = vmvnq_s32(vreinterpretq_s32_u32(vldrbq_u32(p->shifts + c)));
    } else {
      multiplier = vdupq_n_s32(*p->multipliers);
      turn = vdupq_n_s32(-1 - *p->shifts);
    }
    first = @_rescale_four(vaddq_s32(first, bias), p->left, multiplier, turn);
    second = @_rescale_four(vaddq_s32(second, bias), p->left, multiplier, turn);
    codes = vqmovnbq_s32(codes, vaddq_n_s32(first, p->out_zero));
    codes = vqmovntq_s32(codes, vaddq_n_s32(second, p->out_zero));
    codes = vmaxq_s16(codes, vdupq_n_s16((int16_t)p->low));
    codes = vminq_s16(codes, vdupq_n_s16((int16_t)p->high));
    first = vreinterpretq_s32_s16(codes), second = vshrq_n_s32(first, 16);
    if (c + 4 <= channels) {
      vstrbq_s32((int8_t *)y, first);
      if (pixels == 2) vstrbq_s32((int8_t *)y + channels, second);
    } else {
      const mve_pred16_t real = vctp32q((uint32_t)(channels - c));
      vstrbq_p_s32((int8_t *)y, first, real);
      if (pixels == 2) vstrbq_p_s32((int8_t *)y + channels, second, real);
    }
  }
}
#else
#if $_TARGET == 1
typedef uint32_t @_weight;
#define $_WEIGHTS 1
#else
typedef int8_t @_weight;
#define $_WEIGHTS 4
#endif
/* Processors whose instructions reach eight registers: the compilers would keep the sums in memory. */
#if defined(__GNUC__) && defined(__OPTIMIZE__) && (defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__))
#define $_ONLY_LOW_REGISTERS 1
#else
#define $_ONLY_LOW_REGISTERS 0
#endif
/* The codes of one output pixel, four at a time; a: its window. */
static $_KERNEL void @_output_pixel(const @_sums *p, const @_lane *a, uint8_t *y) {
  const int32_t channels = p->window.out_channels, step = p->step;
  const @_lane *const end = a + p->depth;
  const @_weight *w = (const @_weight *)p->weights;
  int32_t c, m = 0;
  for (c = 0; c < channels; c += 4, m += 4 * step) {
    const int32_t *const bias = p->bias + c;
    const @_lane *x = a;
    uint32_t s0 = (uint32_t)bias[0], s1 = (uint32_t)bias[1], s2 = (uint32_t)bias[2], s3 = (uint32_t)bias[3];
    int32_t c0, c1, c2, c3;
#if $_TARGET == 1
    $_UNROLL(2)
    do {
      uint32_t two, two_next, four, four_next;
      $_TWO_WORDS(two, two_next, x, 16);
      $_TWO_WORDS(four, four_next, w, 8);
      s0 = @_pairs(two, @_even(four), s0);
      s0 = @_pairs(two_next, @_odd(four), s0);
      s1 = @_pairs(two, @_even(four_next), s1);
      s1 = @_pairs(two_next, @_odd(four_next), s1);
      $_TWO_WORDS(four, four_next, w, 8);
      s2 = @_pairs(two, @_even(four), s2);
      s2 = @_pairs(two_next, @_odd(four), s2);
      s3 = @_pairs(two, @_even(four_next), s3);
      s3 = @_pairs(two_next, @_odd(four_next), s3);
    } while (x != end);
#else
    do {
#if $_ONLY_LOW_REGISTERS
#define $_CHANNEL(sum, at) "movs %[w], #" #at "\n ldrsb %[w], [%[from], %[w]]\n muls %[w], %[x0]\n add %[" #sum "], %[w]\n"
#define $_TAP(i)                                                                                              \
  {                                                                                                           \
    uint32_t x0, w0;                                                                                          \
    __asm__ volatile(".syntax unified\n ldrb %[x0], [%[x], #" #i "]\n" $_CHANNEL(s0, i) $_CHANNEL(s1, i + 4)  \
                         $_CHANNEL(s2, i + 8) $_CHANNEL(s3, i + 12)                                           \
                     : [s0] "+h"(s0), [s1] "+h"(s1), [s2] "+h"(s2), [s3] "+h"(s3), [x0] "=&l"(x0), [w] "=&l"(w0) \
                     : [x] "l"(x), [from] "l"(w)                                                              \
                     : "cc", "memory");                                                                       \
  }
#else
#define $_TAP(i)                                                                \
  {                                                                             \
    const int32_t x0 = x[i];                                                    \
    s0 += (uint32_t)(x0 * w[i]), s1 += (uint32_t)(x0 * w[i + 4]);               \
    s2 += (uint32_t)(x0 * w[i + 8]), s3 += (uint32_t)(x0 * w[i + 12]);          \
    $_IN_ORDER(s0) $_IN_ORDER(s1) $_IN_ORDER(s2) $_IN_ORDER(s3)                 \
  }
#endif
      $_TAP(0) $_TAP(1) $_TAP(2) $_TAP(3)
#undef $_TAP
#undef $_CHANNEL
      x += 4, w += 16;
    } while (x != end);
#endif
    c0 = @_rescaled(p, m, s0), c1 = @_rescaled(p, m + step, s1);
    c2 = @_rescaled(p, m + 2 * step, s2), c3 = @_rescaled(p, m + 3 * step, s3);
    if (p->narrow) c0 = @_within(p, c0), c1 = @_within(p, c1), c2 = @_within(p, c2), c3 = @_within(p, c3);
    y[c] = (uint8_t)c0;
    if (c + 1 < channels) y[c + 1] = (uint8_t)c1;
    if (c + 2 < channels) y[c + 2] = (uint8_t)c2;
    if (c + 3 < channels) y[c + 3] = (uint8_t)c3;
  }
}
/* The codes of two output pixels, two at a time; a and b: their windows. */
static $_KERNEL void @_output_pixels(const @_sums *p, const @_lane *a, const @_lane *b, uint8_t *y) {
  const int32_t channels = p->window.out_channels, depth = p->depth, step = p->step;
  const @_lane *const end = a + depth;
  const int32_t *bias = p->bias;
  const @_weight *w = (const @_weight *)p->weights;
  int32_t c, m = 0;
  for (c = 0; c < channels; c += 2, y += 2, m += 2 * step, bias += 2) {
    const @_lane *x = a;
    uint32_t s00 = (uint32_t)bias[0], s01 = (uint32_t)bias[1], s10 = s00, s11 = s01;
    int32_t c00, c01, c10, c11;
#if $_TARGET == 1
#define $_FOUR                                                                                               \
  {                                                                                                          \
    uint32_t two, two_next;                                                                                            \
    int16x2_t w0, w1, w2, w3;                                                                                \
    $_TWO_WORDS(two, two_next, w, 16);                                                                                 \
    w0 = @_even(two), w1 = @_odd(two);                                                   \
    w2 = @_even(two_next), w3 = @_odd(two_next);                                   \
    $_TWO_WORDS(two, two_next, x, 8);                                                                                  \
    s00 = @_pairs(two, w0, s00), s00 = @_pairs(two_next, w1, s00);                    \
    s01 = @_pairs(two, w2, s01), s01 = @_pairs(two_next, w3, s01);                    \
    $_TWO_WORDS(two, two_next, x, 8);                                                                                  \
    s10 = @_pairs(two, w0, s10), s10 = @_pairs(two_next, w1, s10);                    \
    s11 = @_pairs(two, w2, s11), s11 = @_pairs(two_next, w3, s11);                    \
  }
#else
    const uint8_t *z = b;
#if $_ONLY_LOW_REGISTERS
#define $_TAP(i)                                                                                              \
  {                                                                                                           \
    uint32_t x0, x1, w0, t;                                                                                   \
    __asm__ volatile(".syntax unified\n ldrb %[x0], [%[x], #" #i "]\n ldrb %[x1], [%[z], #" #i "]\n"         \
                     "movs %[t], #" #i "\n ldrsb %[w], [%[from], %[t]]\n"                                     \
                     "movs %[t], %[x0]\n muls %[t], %[w]\n add %[s00], %[t]\n muls %[w], %[x1]\n add %[s10], %[w]\n" \
                     "movs %[t], #" #i " + 4\n ldrsb %[w], [%[from], %[t]]\n"                                 \
                     "muls %[x0], %[w]\n add %[s01], %[x0]\n muls %[x1], %[w]\n add %[s11], %[x1]\n"          \
                     : [s00] "+h"(s00), [s01] "+h"(s01), [s10] "+h"(s10), [s11] "+h"(s11), [x0] "=&l"(x0),     \
                       [x1] "=&l"(x1), [w] "=&l"(w0), [t] "=&l"(t)                                            \
                     : [x] "l"(x), [z] "l"(z), [from] "l"(w)                                                  \
                     : "cc", "memory");                                                                       \
  }
#else
#define $_TAP(i)                                                  \
  {                                                               \
    const int32_t x0 = x[i], x1 = z[i], w0 = w[i], w1 = w[i + 4]; \
    s00 += (uint32_t)(x0 * w0), s10 += (uint32_t)(x1 * w0);       \
    s01 += (uint32_t)(x0 * w1), s11 += (uint32_t)(x1 * w1);       \
    $_IN_ORDER(s00) $_IN_ORDER(s01) $_IN_ORDER(s10) $_IN_ORDER(s11) \
  }
#endif
#define $_FOUR { $_TAP(0) $_TAP(1) $_TAP(2) $_TAP(3) x += 4, z += 4, w += 16; }
#endif
    if ((depth & 4) != 0) $_FOUR
    while (x != end) {
      $_FOUR
      $_FOUR
    }
#undef $_FOUR
    c00 = @_rescaled(p, m, s00), c01 = @_rescaled(p, m + step, s01);
    c10 = @_rescaled(p, m, s10), c11 = @_rescaled(p, m + step, s11);
    if (p->narrow) {
      c00 = @_within(p, c00), c01 = @_within(p, c01);
      c10 = @_within(p, c10), c11 = @_within(p, c11);
    }
    y[channels] = (uint8_t)c10;
    if (c + 1 < channels) y[channels + 1] = (uint8_t)c11;
    y[0] = (uint8_t)c00;
    if (c + 1 < channels) y[1] = (uint8_t)c01;
    w += 2 * $_WEIGHTS - (c % 4 == 0 ? depth * $_WEIGHTS : 4 * $_WEIGHTS); /* the next two of these four, or of the next */
  }
  (void)b;
}
#undef $_TAP
static inline void @_outputs(const @_sums *p, const @_lane *a, const @_lane *b, int32_t pixels, uint8_t *y) {
  if (pixels == 2)
    @_output_pixels(p, a, b, y);
  else
    @_output_pixel(p, a, y);
}
#endif

/* Convolution, and with a window of 1x1 a dense layer. */
static $_KERNEL void @_convolve(const @_sums *p, const uint8_t *x, uint8_t *y, uint32_t *scratch) {
  const @_window *const g = &p->window;
  const int32_t apart = $_NEXT_WINDOW(p->depth);
  @_lane *const first = (@_lane *)scratch;
  const @_lane *windows[2];
  const int32_t plain = g->kernel_height * g->kernel_width == 1 && g->pad_top == 0 && g->pad_left == 0 &&
                        (g->out_height - 1) * g->stride_height < g->in_height &&
                        (g->out_width - 1) * g->stride_width < g->in_width;
  int32_t oy, ox, pixels = 0;
  windows[0] = windows[1] = first;
  for (oy = 0; oy < g->out_height; ++oy)
    for (ox = 0; ox < g->out_width; ++ox) {
      if (plain) {
        const uint8_t *const pixel = x + (oy * g->stride_height * g->in_width + ox * g->stride_width) * g->in_channels;
#if $_TARGET == 0
        windows[pixels] = pixel;
#else
        windows[pixels] = first + pixels * apart;
        @_take(g->in_channels, pixel, first + pixels * apart);
#if $_TARGET == 2
        if (p->depth % 16 != 0) vst1q_u8(first + pixels * apart + p->depth, vdupq_n_u8(0));
#endif
#endif
      } else {
        windows[pixels] = first + pixels * apart;
        @_gather(p, x, oy, ox, first + pixels * apart);
      }
      if (++pixels == 1) continue;
      @_outputs(p, windows[0], windows[1], 2, y);
      y += 2 * g->out_channels, pixels = 0;
    }
  if (pixels != 0) @_outputs(p, windows[0], windows[0], 1, y);
}
)"},
    {"convolve_channels", " sums ",
     R"(#if $_TARGET == 2
#define $_TOGETHER 8
/* Eight channels of a depthwise convolution, from channel c, those of even numbers apart: tap t is offsets[t] after x. */
static inline void @_channels(const @_sums *p, int32_t c, int32_t taps, const uint8_t *x, const int32_t *offsets,
                              uint8_t *y) {
  const int32_t channels = p->window.out_channels, left = p->left;
  const int8_t *w = (const int8_t *)p->weights + c;
  int32x4_t even = vdupq_n_s32(0), odd = even;
  int32x4x2_t bias;
  int16x8_t codes = vdupq_n_s16(0);
  int32_t t;
  $_UNROLL(9)
  for (t = 0; t < taps; ++t, w += channels) {
    const int16x8_t v = vreinterpretq_s16_u16(vldrbq_u16(x + c + offsets[t])), weights = vldrbq_s16(w);
    even = vaddq_s32(even, vmullbq_int_s16(v, weights));
    odd = vaddq_s32(odd, vmulltq_int_s16(v, weights));
    __asm__ volatile("" : "+w"(even), "+w"(odd) : : "memory"); /* loads wait, so that registers suffice */
  }
  bias = vld2q_s32(p->bias + c);
  even = vaddq_s32(even, bias.val[0]), odd = vaddq_s32(odd, bias.val[1]);
  if (p->step != 0) {
    const int32x4x2_t multiplier = vld2q_s32(p->multipliers + c);
    const int16x8_t turn = vmvnq_s16(vreinterpretq_s16_u16(vldrbq_u16(p->shifts + c)));
    even = @_rescale_four(even, left, multiplier.val[0], vmovlbq_s16(turn));
    odd = @_rescale_four(odd, left, multiplier.val[1], vmovltq_s16(turn));
  } else {
    const int32x4_t multiplier = vdupq_n_s32(*p->multipliers), turn = vdupq_n_s32(-1 - *p->shifts);
    even = @_rescale_four(even, left, multiplier, turn);
    odd = @_rescale_four(odd, left, multiplier, turn);
  }
  codes = vqmovnbq_s32(codes, vaddq_n_s32(even, p->out_zero));
  codes = vqmovntq_s32(codes, vaddq_n_s32(odd, p->out_zero));
  codes = vmaxq_s16(codes, vdupq_n_s16((int16_t)p->low));
  codes = vminq_s16(codes, vdupq_n_s16((int16_t)p->high));
  if (c + 8 <= channels)
    vstrbq_s16((int8_t *)y + c, codes);
  else
    vstrbq_p_s16((int8_t *)y + c, codes, vctp16q((uint32_t)(channels - c)));
}
#else
#define $_TOGETHER 4
/* Four channels of a depthwise convolution, from channel c: tap t is offsets[t] after x. */
static inline void @_channels(const @_sums *p, int32_t c, int32_t taps, const uint8_t *x, const int32_t *offsets,
                              uint8_t *y) {
  const int32_t channels = p->window.out_channels;
  int32_t t;
  const int32_t left = channels - c, m = c * p->step, step = p->step;
  const int32_t *const bias = p->bias + c;
  uint32_t s0 = (uint32_t)bias[0], s1 = (uint32_t)bias[1], s2 = (uint32_t)bias[2], s3 = (uint32_t)bias[3];
  int32_t c0, c1, c2, c3;
#if $_TARGET == 1
  const uint8_t *w = (const uint8_t *)p->weights + c;
  $_UNROLL(9)
  for (t = 0; t < taps; ++t, w += channels) {
    const uint32_t four = @_word(x + offsets[t] + c), weights = @_word(w);
    int16x2_t a = (int16x2_t)@_even_bytes(four), b = @_even(weights);
    s0 = (uint32_t)__smlabb(a, b, (int32_t)s0), s2 = (uint32_t)__smlatt(a, b, (int32_t)s2);
    a = (int16x2_t)@_odd_bytes(four), b = @_odd(weights);
    s1 = (uint32_t)__smlabb(a, b, (int32_t)s1), s3 = (uint32_t)__smlatt(a, b, (int32_t)s3);
    $_BARRIER
  }
#else
  const int8_t *w = (const int8_t *)p->weights + c;
  for (t = 0; t < taps; ++t, w += channels) {
    const uint8_t *const four = x + offsets[t] + c;
    s0 += (uint32_t)(four[0] * w[0]), s1 += (uint32_t)(four[1] * w[1]);
    s2 += (uint32_t)(four[2] * w[2]), s3 += (uint32_t)(four[3] * w[3]);
    $_IN_ORDER(s0) $_IN_ORDER(s1) $_IN_ORDER(s2) $_IN_ORDER(s3)
  }
#endif
  c0 = @_rescaled(p, m, s0), c1 = @_rescaled(p, m + step, s1);
  c2 = @_rescaled(p, m + 2 * step, s2), c3 = @_rescaled(p, m + 3 * step, s3);
  if (p->narrow) c0 = @_within(p, c0), c1 = @_within(p, c1), c2 = @_within(p, c2), c3 = @_within(p, c3);
  y[c] = (uint8_t)c0;
  if (left > 1) y[c + 1] = (uint8_t)c1;
  if (left > 2) y[c + 2] = (uint8_t)c2;
  if (left > 3) y[c + 3] = (uint8_t)c3;
}
#endif

/* Depthwise convolution with as many outputs as inputs. Weights [height][width][channels]. Scratch memory: where each tap
   lies, and a pixel of zero points for those outside the image. */
static $_KERNEL void @_convolve_channels(const @_sums *p, const uint8_t *x, uint8_t *y, uint32_t *scratch) {
  const @_window *const g = &p->window;
  const int32_t channels = g->in_channels, taps = g->kernel_height * g->kernel_width;
  int32_t *const offsets = (int32_t *)scratch;
  uint8_t *const outside = (uint8_t *)(offsets + taps);
  int32_t oy, ox, ky, kx, c, plain = 0;
  for (c = 0; c < channels; ++c) outside[c] = (uint8_t)p->in_zero;
  for (oy = 0; oy < g->out_height; ++oy)
    for (ox = 0; ox < g->out_width; ++ox, y += channels) {
      const int32_t top = oy * g->stride_height - g->pad_top, left = ox * g->stride_width - g->pad_left;
      const int32_t within = top >= 0 && left >= 0 && top + (g->kernel_height - 1) * g->dilation_height < g->in_height &&
                             left + (g->kernel_width - 1) * g->dilation_width < g->in_width;
      const uint8_t *const origin = within ? x + (top * g->in_width + left) * channels : x;
      if (!within || !plain) {
        int32_t *offset = offsets;
        for (ky = 0; ky < g->kernel_height; ++ky)
          for (kx = 0; kx < g->kernel_width; ++kx) {
            const int32_t row = top + ky * g->dilation_height, column = left + kx * g->dilation_width;
            const int32_t inside = row >= 0 && row < g->in_height && column >= 0 && column < g->in_width;
            *offset++ = inside ? (int32_t)(x + (row * g->in_width + column) * channels - origin) : (int32_t)(outside - x);
          }
        plain = within;
      }
      if (taps == 9)
        for (c = 0; c < channels; c += $_TOGETHER) @_channels(p, c, 9, origin, offsets, y);
      else
        for (c = 0; c < channels; c += $_TOGETHER) @_channels(p, c, taps, origin, offsets, y);
    }
}
)"},
};

}  // namespace detail
}  // namespace fat::inline FAT_ABI

#endif
