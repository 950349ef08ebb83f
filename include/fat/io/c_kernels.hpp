// The C99 text of the kernels that a generated C header carries; '@' stands for the header's own prefix.
#ifndef FAT_IO_C_KERNELS_HPP_INCLUDED
#define FAT_IO_C_KERNELS_HPP_INCLUDED

#include <fat/config.hpp>

#include <fat/kernel/requantize.hpp>

#include <string_view>

namespace fat::inline FAT_ABI {
namespace detail {

/// One piece of C text, written where a layer needs it or a piece that follows does.
struct CKernel {
  std::string_view name;
  /// Names of the pieces it calls, each between two spaces; all stand before it in c_kernels.
  std::string_view needs;
  std::string_view text;
};

/// The same arithmetic as kernel/reference, on bytes (signed codes raised by 128), for one image.
inline constexpr CKernel c_kernels[] = {
    {"target", "",
     R"(/* The instructions that kernels use: 2 Helium, 1 the DSP extension, 0 those that compilers make of C. */
#ifndef $_TARGET
#if defined(__ARM_FEATURE_MVE) && !defined(__ARM_BIG_ENDIAN)
#define $_TARGET 2
#elif defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_SIMD32) && defined(__thumb2__) && !defined(__ARM_BIG_ENDIAN)
#define $_TARGET 1
#else
#define $_TARGET 0
#endif
#endif
#if $_TARGET == 2
#include <arm_mve.h>
#elif $_TARGET == 1
#include <arm_acle.h>
#endif
#if defined(__GNUC__)
#define $_KERNEL __attribute__((noinline, unused))
#define $_INLINE inline __attribute__((always_inline))
#define $_BARRIER __asm__ volatile("" : : : "memory"); /* loads wait, so that registers suffice */
#define $_IN_ORDER(sum) __asm__("" : "+r"(sum)); /* multiply and accumulate, no sums of products first */
#else
#define $_KERNEL
#define $_INLINE inline
#define $_BARRIER
#define $_IN_ORDER(sum)
#endif
#if defined(__GNUC__) && !defined(__clang__)
#define $_PRAGMA(words) _Pragma(#words)
#define $_UNROLL(times) $_PRAGMA(GCC unroll times)
#else
#define $_UNROLL(times)
#endif
)"},
    {"scale", "",
     R"(/* value * multiplier / 2^right to the nearest integer, halves up, held in 32 bits; 1 <= right <= 62. */
static inline int32_t @_scale(int32_t value, int32_t multiplier, int32_t right) {
  const int64_t sum = (int64_t)value * multiplier + ((int64_t)1 << (right - 1));
  const int64_t result = sum >= 0 ? sum >> right : ~(~sum >> right);
  return result > INT32_MAX ? INT32_MAX : result < INT32_MIN ? INT32_MIN : (int32_t)result;
}
)"},
    {"code", "", R"(/* value + zero, held between low and high. */
static inline uint8_t @_code(int32_t value, int32_t zero, int32_t low, int32_t high) {
  return (uint8_t)(value < low - zero ? low : value > high - zero ? high : value + zero);
}
)"},
    {"window", "", R"(/* A window laid over rows oy * stride + ky * dilation - pad of an image, columns likewise. */
typedef struct {
  int32_t in_height, in_width, in_channels, out_height, out_width, out_channels;
  int32_t kernel_height, kernel_width, stride_height, stride_width, dilation_height, dilation_width, pad_top, pad_left;
} @_window;

/* Position of the input pixel under tap (ky, kx) of output pixel (oy, ox), -1 outside the image. */
static inline int32_t @_tap(const @_window *g, int32_t oy, int32_t ox, int32_t ky, int32_t kx) {
  const int32_t row = oy * g->stride_height + ky * g->dilation_height - g->pad_top;
  const int32_t column = ox * g->stride_width + kx * g->dilation_width - g->pad_left;
  return row < 0 || row >= g->in_height || column < 0 || column >= g->in_width ? -1 : row * g->in_width + column;
}
)"},
    {"inside", " window ",
     R"(/* The first tap, and one past the last, on places 0 to size - 1; tap 0 lies on place `start`. */
static inline int32_t @_first(int32_t start, int32_t dilation) { return start >= 0 ? 0 : (dilation - 1 - start) / dilation; }
static inline int32_t @_last(int32_t start, int32_t taps, int32_t dilation, int32_t size) {
  const int32_t last = start >= size ? 0 : (size - start + dilation - 1) / dilation;
  return last < taps ? last : taps;
}
)"},
    {"product", " scale code window ",
     R"(/* A layer with weights. Multipliers and shifts: one for each output channel, or one (step 0). weight_zeros: NULL for 0. */
typedef struct {
  @_window window;
  int32_t groups;
  const int8_t *weights, *weight_zeros;
  const int32_t *bias, *multipliers;
  const uint8_t *shifts;
  int32_t step, in_zero, out_zero, low, high;
} @_product;

static inline uint8_t @_product_code(const @_product *p, int32_t channel, int32_t sum) {
  const int32_t value = @_scale(sum, p->multipliers[channel * p->step], p->shifts[channel * p->step]);
  return @_code(value, p->out_zero, p->low, p->high);
}
)"},
    {"convolution", " product ",
     R"(/* Convolution, and with a window of 1x1 a dense layer. Weights [out][height][width][in / groups]. */
static inline void @_convolution(const @_product *p, const uint8_t *x, uint8_t *y) {
  const @_window *const g = &p->window;
  const int32_t depth = g->in_channels / p->groups, width = g->out_channels / p->groups;
  for (int32_t oy = 0; oy < g->out_height; ++oy)
    for (int32_t ox = 0; ox < g->out_width; ++ox) {
      const int8_t *w = p->weights;
      for (int32_t c = 0; c < g->out_channels; ++c) {
        const uint8_t *const group = x + c / width * depth;
        const int32_t w_zero = p->weight_zeros != NULL ? p->weight_zeros[c] : 0;
        int32_t sum = p->bias[c];
        for (int32_t ky = 0; ky < g->kernel_height; ++ky)
          for (int32_t kx = 0; kx < g->kernel_width; ++kx, w += depth) {
            const int32_t tap = @_tap(g, oy, ox, ky, kx);
            if (tap < 0) continue;
            const uint8_t *const pixel = group + tap * g->in_channels;
            for (int32_t k = 0; k < depth; ++k) sum += (pixel[k] - p->in_zero) * (w[k] - w_zero);
          }
        *y++ = @_product_code(p, c, sum);
      }
    }
}
)"},
    {"dense", " product ", R"(/* Dense layer of a network whose other layers round twice: once, halves up. */
static inline void @_dense(const @_product *p, const uint8_t *x, uint8_t *y) {
  const int32_t depth = p->window.in_channels;
  const int8_t *w = p->weights;
  for (int32_t c = 0; c < p->window.out_channels; ++c, w += depth) {
    const int32_t w_zero = p->weight_zeros != NULL ? p->weight_zeros[c] : 0, right = p->shifts[c * p->step];
    int32_t sum = p->bias[c];
    int64_t value;
    for (int32_t k = 0; k < depth; ++k) sum += (x[k] - p->in_zero) * (w[k] - w_zero);
    value = (int64_t)sum * p->multipliers[c * p->step] + ((int64_t)1 << (right - 1));
    value = value >= 0 ? value >> right : ~(~value >> right);
    y[c] = @_code(value > 255 ? 255 : value < -255 ? -255 : (int32_t)value, p->out_zero, p->low, p->high);
  }
}
)"},
    {"depthwise", " product ",
     R"(/* Depthwise convolution. Weights [height][width][out]; output channel c reads input channel c / (out / in). */
static inline void @_depthwise(const @_product *p, const uint8_t *x, uint8_t *y) {
  const @_window *const g = &p->window;
  const int32_t multiplier = g->out_channels / g->in_channels;
  for (int32_t oy = 0; oy < g->out_height; ++oy)
    for (int32_t ox = 0; ox < g->out_width; ++ox)
      for (int32_t c = 0; c < g->out_channels; ++c) {
        const uint8_t *const channel = x + c / multiplier;
        const int8_t *w = p->weights + c;
        const int32_t w_zero = p->weight_zeros != NULL ? p->weight_zeros[c] : 0;
        int32_t sum = p->bias[c];
        for (int32_t ky = 0; ky < g->kernel_height; ++ky)
          for (int32_t kx = 0; kx < g->kernel_width; ++kx, w += g->out_channels) {
            const int32_t tap = @_tap(g, oy, ox, ky, kx);
            if (tap >= 0) sum += (channel[tap * g->in_channels] - p->in_zero) * (*w - w_zero);
          }
        *y++ = @_product_code(p, c, sum);
      }
}
)"},
    {"add", " scale code ", R"(/* Sum of a[size] and b[b_size] repeated. */
typedef struct {
  int32_t size, b_size, a_zero, b_zero, a_multiplier, b_multiplier, multiplier, a_shift, b_shift, shift, out_zero, low, high;
} @_addition;

static inline void @_add(const @_addition *s, const uint8_t *a, const uint8_t *b, uint8_t *y) {
  for (int32_t i = 0, j = 0; i < s->size; ++i, j = j + 1 == s->b_size ? 0 : j + 1) {
    const int32_t left = @_scale((a[i] - s->a_zero) * (1 << 20), s->a_multiplier, s->a_shift);
    const int32_t right = @_scale((b[j] - s->b_zero) * (1 << 20), s->b_multiplier, s->b_shift);
    y[i] = @_code(@_scale(left + right, s->multiplier, s->shift), s->out_zero, s->low, s->high);
  }
}
)"},
    {"multiply", " scale code ", R"(/* Product of a[size] and b[b_size] repeated. */
typedef struct {
  int32_t size, b_size, a_zero, b_zero, multiplier, shift, out_zero, low, high;
} @_multiplication;

static inline void @_multiply(const @_multiplication *s, const uint8_t *a, const uint8_t *b, uint8_t *y) {
  for (int32_t i = 0, j = 0; i < s->size; ++i, j = j + 1 == s->b_size ? 0 : j + 1) {
    const int32_t product = (a[i] - s->a_zero) * (b[j] - s->b_zero);
    y[i] = @_code(@_scale(product, s->multiplier, s->shift), s->out_zero, s->low, s->high);
  }
}
)"},
    {"max_pool", " window inside ", R"(/* Largest code under the window, between low and high. */
static inline void @_max_pool(const @_window *g, int32_t low, int32_t high, const uint8_t *x, uint8_t *y) {
  for (int32_t oy = 0; oy < g->out_height; ++oy)
    for (int32_t ox = 0; ox < g->out_width; ++ox)
      for (int32_t c = 0; c < g->in_channels; ++c) {
        const int32_t top = oy * g->stride_height - g->pad_top, left = ox * g->stride_width - g->pad_left;
        const int32_t bottom = @_last(top, g->kernel_height, g->dilation_height, g->in_height);
        const int32_t right = @_last(left, g->kernel_width, g->dilation_width, g->in_width);
        int32_t best = low;
        for (int32_t ky = @_first(top, g->dilation_height); ky < bottom; ++ky)
          for (int32_t kx = @_first(left, g->dilation_width); kx < right; ++kx) {
            const int32_t tap = @_tap(g, oy, ox, ky, kx);
            if (x[tap * g->in_channels + c] > best) best = x[tap * g->in_channels + c];
          }
        *y++ = (uint8_t)(best > high ? high : best);
      }
}
)"},
    {"average_pool", " code window inside ",
     R"(/* Mean of the codes under the window, halves away from the byte `origin`: up where that is -1.
   outside: the byte that taps outside the image count as, or -1 where they do not count. */
static inline void @_average_pool(const @_window *g, int32_t origin, int32_t outside, int32_t low, int32_t high,
                                  const uint8_t *x, uint8_t *y) {
  for (int32_t oy = 0; oy < g->out_height; ++oy)
    for (int32_t ox = 0; ox < g->out_width; ++ox)
      for (int32_t c = 0; c < g->in_channels; ++c) {
        const int32_t top = oy * g->stride_height - g->pad_top, left = ox * g->stride_width - g->pad_left;
        const int32_t bottom = @_last(top, g->kernel_height, g->dilation_height, g->in_height);
        const int32_t right = @_last(left, g->kernel_width, g->dilation_width, g->in_width);
        int32_t sum = 0, count = 0;
        for (int32_t ky = @_first(top, g->dilation_height); ky < bottom; ++ky)
          for (int32_t kx = @_first(left, g->dilation_width); kx < right; ++kx, ++count)
            sum += x[@_tap(g, oy, ox, ky, kx) * g->in_channels + c] - origin;
        if (outside >= 0) {
          const int32_t taps = g->kernel_height * g->kernel_width;
          sum += (taps - count) * (outside - origin), count = taps;
        }
        *y++ = @_code((sum > 0 ? sum + count / 2 : sum - count / 2) / count, origin, low, high);
      }
}
)"},
    {"mean", " scale code ", R"(/* Mean over all pixels, on the output's grid. */
typedef struct {
  int32_t pixels, channels, multiplier, shift, in_zero, out_zero, low, high;
} @_average;

static inline void @_mean(const @_average *s, const uint8_t *x, uint8_t *y) {
  for (int32_t c = 0; c < s->channels; ++c) {
    int32_t sum = 0;
    for (int32_t p = 0; p < s->pixels; ++p) sum += x[p * s->channels + c] - s->in_zero;
    y[c] = @_code(@_scale(sum, s->multiplier, s->shift), s->out_zero, s->low, s->high);
  }
}
)"},
    {"copy", "",
     R"(/* rows of `width` bytes, one after the other, to rows that start `stride` apart; through a table of codes unless NULL. */
static inline void @_copy(int32_t rows, int32_t width, int32_t stride, const uint8_t *table, const uint8_t *x, uint8_t *y) {
  for (int32_t row = 0; row < rows; ++row, x += width, y += stride) {
    if (table == NULL) memcpy(y, x, (size_t)width);
    else
      for (int32_t i = 0; i < width; ++i) y[i] = table[x[i]];
  }
}
)"},
    {"fill", "", R"(static inline void @_fill(int32_t size, uint8_t byte, uint8_t *y) {
  for (int32_t i = 0; i < size; ++i) y[i] = byte;
}
)"},
    {"permute", "",
     R"(/* Images of two extents whose elements are the same where they are counted channel by channel. */
static inline void @_permute(int32_t in_pixels, int32_t in_channels, int32_t out_pixels, int32_t out_channels,
                             const uint8_t *table, const uint8_t *x, uint8_t *y) {
  for (int32_t n = 0; n < out_pixels * out_channels; ++n) {
    const uint8_t code = x[n % in_pixels * in_channels + n / in_pixels];
    y[n % out_pixels * out_channels + n / out_pixels] = table == NULL ? code : table[code];
  }
}
)"},
    {"resize", " copy ", R"(/* Nearest neighbour: output pixel (oy, ox) is input pixel (rows[oy], columns[ox]). */
static inline void @_resize(int32_t in_width, int32_t channels, int32_t out_height, int32_t out_width, const uint16_t *rows,
                            const uint16_t *columns, const uint8_t *table, const uint8_t *x, uint8_t *y) {
  for (int32_t oy = 0; oy < out_height; ++oy)
    for (int32_t ox = 0; ox < out_width; ++ox, y += channels)
      @_copy(1, channels, 0, table, x + (rows[oy] * in_width + columns[ox]) * channels, y);
}
)"},
    {"interpolate", "",
     R"(/* Bilinear: between rows[3 oy] and rows[3 oy + 1], rows[3 oy + 2] / 1024 of the way; halves away from the
   byte `origin`: up where that is -1. */
static inline void @_interpolate(int32_t in_width, int32_t channels, int32_t out_height, int32_t out_width, const uint16_t *rows,
                                 const uint16_t *columns, int32_t origin, const uint8_t *x, uint8_t *y) {
  for (int32_t oy = 0; oy < out_height; ++oy, rows += 3) {
    const uint8_t *const top = x + rows[0] * in_width * channels, *const bottom = x + rows[1] * in_width * channels;
    for (int32_t ox = 0; ox < out_width; ++ox, y += channels) {
      const int32_t left = columns[3 * ox] * channels, right = columns[3 * ox + 1] * channels;
      const int32_t across = columns[3 * ox + 2], down = rows[2];
      for (int32_t c = 0; c < channels; ++c) {
        const int32_t upper = (top[left + c] - origin) * (1024 - across) + (top[right + c] - origin) * across;
        const int32_t lower = (bottom[left + c] - origin) * (1024 - across) + (bottom[right + c] - origin) * across;
        const int32_t sum = upper * (1024 - down) + lower * down;
        y[c] = (uint8_t)((sum + (sum > 0 ? 524288 : -524288)) / 1048576 + origin);
      }
    }
  }
}
)"},
    {"softmax", "", R"(/* round(a * b / 2^31), halves up; -2^31 * -2^31 saturates. */
static inline int32_t @_high(int32_t a, int32_t b) {
  const int64_t product = (int64_t)a * b;
  const int64_t result = (product + (product >= 0 ? (int64_t)1 << 30 : 1 - ((int64_t)1 << 30))) / ((int64_t)1 << 31);
  return result > INT32_MAX ? INT32_MAX : (int32_t)result;
}

/* a / 2^exponent to the nearest integer, halves away from zero. */
static inline int32_t @_divide(int32_t a, int32_t exponent) {
  const int64_t half = exponent == 0 ? 0 : (int64_t)1 << (exponent - 1);
  return (int32_t)(a < 0 ? -((-(int64_t)a + half) >> exponent) : ((int64_t)a + half) >> exponent);
}

static inline int32_t @_saturating_shift(int32_t a, int32_t shift) {
  const int64_t result = (int64_t)a * ((int64_t)1 << shift);
  return result > INT32_MAX ? INT32_MAX : result < INT32_MIN ? INT32_MIN : (int32_t)result;
}

/* exp(a) in Q0.31 of a <= 0 in Q5.26. */
static inline int32_t @_exp(int32_t a) {
  static const int32_t factors[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  const int32_t quarter = 1 << 24, exp_of_eighth = 1895147668, third = 715827883;
  int32_t rest, x, x2, x3, x4, tail, whole, result, bit;
  if (a == 0) return INT32_MAX;
  rest = (int32_t)((uint32_t)a & (uint32_t)(quarter - 1)) - quarter;
  x = @_saturating_shift(rest, 5) + (1 << 28);
  x2 = @_high(x, x), x3 = @_high(x2, x), x4 = @_high(x2, x2);
  tail = @_high(@_divide(x4, 2) + x3, third) + x2;
  result = exp_of_eighth + @_high(exp_of_eighth, x + @_divide(tail, 1));
  whole = rest - a;
  for (bit = 0; bit < 7; ++bit)
    if ((whole & (quarter * (1 << bit))) != 0) result = @_high(result, factors[bit]);
  return result;
}

/* Q5.26 of a difference of codes. */
static inline int32_t @_exp_of_codes(int32_t difference, int32_t multiplier, int32_t left) {
  return @_exp(@_high(@_saturating_shift(difference, left), multiplier));
}

/* Softmax of rows of `channels` codes; the output's step is 1 / 256 and its zero point the lowest code. */
static inline void @_softmax(int32_t rows, int32_t channels, int32_t multiplier, int32_t left, int32_t least, const uint8_t *x,
                             uint8_t *y) {
  for (int32_t row = 0; row < rows; ++row, x += channels, y += channels) {
    int32_t largest = x[0], headroom = 0, half, scale, step, i;
    uint64_t sum = 0;
    for (i = 1; i < channels; ++i) largest = x[i] > largest ? x[i] : largest;
    for (i = 0; i < channels; ++i)
      if (x[i] - largest >= least) sum += (uint64_t)@_divide(@_exp_of_codes(x[i] - largest, multiplier, left), 12);
    for (; sum >> 32 != 0; sum >>= 1) --headroom;
    for (; (sum & 0x80000000U) == 0; sum <<= 1) ++headroom;
    /* 1 / (1 + fraction) by three Newton steps */
    half = (int32_t)(((int64_t)((uint32_t)sum - 0x80000000U) + INT32_MAX + 1) / 2);
    scale = 1515870810 + @_high(half, -1010580540);
    for (step = 0; step < 3; ++step)
      scale += @_saturating_shift(@_high(scale, (1 << 29) - @_high(half, scale)), 2);
    scale = @_saturating_shift(scale, 1);
    for (i = 0; i < channels; ++i) {
      int32_t code = 0;
      if (x[i] - largest >= least)
        code = @_divide(@_high(scale, @_exp_of_codes(x[i] - largest, multiplier, left)), 12 - headroom + 31 - 8);
      y[i] = (uint8_t)(code > 255 ? 255 : code);
    }
  }
}
)"},
};

/// A piece of c_kernels as networks with another rounding than halves up have it: the same calls with another meaning.
struct CKernelVariant {
  Requantization how;
  CKernel kernel;
};

inline constexpr CKernelVariant c_kernel_variants[] = {
    {Requantization::half_even,
     {"scale", "",
      R"(/* value * multiplier / 2^right to the nearest integer, halves to even, held in 32 bits; 1 <= right <= 62. */
static inline int32_t @_scale(int32_t value, int32_t multiplier, int32_t right) {
  const int64_t product = (int64_t)value * multiplier;
  const int64_t whole = product >= 0 ? product >> right : ~(~product >> right);
  const int64_t sum = product + ((int64_t)1 << (right - 1)) - 1 + (whole & 1);
  const int64_t result = sum >= 0 ? sum >> right : ~(~sum >> right);
  return result > INT32_MAX ? INT32_MAX : result < INT32_MIN ? INT32_MIN : (int32_t)result;
}
)"}},
    {Requantization::half_even,
     {"average_pool", " code window inside ",
      R"(/* Mean of the codes under the window, halves to an even number of codes from `zero`, the byte of real 0.
   outside: the byte that taps outside the image count as, or -1 where they do not count. */
static inline void @_average_pool(const @_window *g, int32_t zero, int32_t outside, int32_t low, int32_t high,
                                  const uint8_t *x, uint8_t *y) {
  for (int32_t oy = 0; oy < g->out_height; ++oy)
    for (int32_t ox = 0; ox < g->out_width; ++ox)
      for (int32_t c = 0; c < g->in_channels; ++c) {
        const int32_t top = oy * g->stride_height - g->pad_top, left = ox * g->stride_width - g->pad_left;
        const int32_t bottom = @_last(top, g->kernel_height, g->dilation_height, g->in_height);
        const int32_t right = @_last(left, g->kernel_width, g->dilation_width, g->in_width);
        int32_t sum = 0, count = 0, mean, twice_rest;
        for (int32_t ky = @_first(top, g->dilation_height); ky < bottom; ++ky)
          for (int32_t kx = @_first(left, g->dilation_width); kx < right; ++kx, ++count)
            sum += x[@_tap(g, oy, ox, ky, kx) * g->in_channels + c] - zero;
        if (outside >= 0) {
          const int32_t taps = g->kernel_height * g->kernel_width;
          sum += (taps - count) * (outside - zero), count = taps;
        }
        mean = sum / count - (sum % count < 0), twice_rest = 2 * (sum - mean * count);
        *y++ = @_code(mean + (twice_rest > count || (twice_rest == count && mean % 2 != 0)), zero, low, high);
      }
}
)"}},
    {Requantization::half_even,
     {"interpolate", "",
      R"(/* Bilinear: between rows[3 oy] and rows[3 oy + 1], rows[3 oy + 2] / 1024 of the way; halves to an even number of codes
   from `zero`, the byte of real 0. */
static inline void @_interpolate(int32_t in_width, int32_t channels, int32_t out_height, int32_t out_width, const uint16_t *rows,
                                 const uint16_t *columns, int32_t zero, const uint8_t *x, uint8_t *y) {
  for (int32_t oy = 0; oy < out_height; ++oy, rows += 3) {
    const uint8_t *const top = x + rows[0] * in_width * channels, *const bottom = x + rows[1] * in_width * channels;
    for (int32_t ox = 0; ox < out_width; ++ox, y += channels) {
      const int32_t left = columns[3 * ox] * channels, right = columns[3 * ox + 1] * channels;
      const int32_t across = columns[3 * ox + 2], down = rows[2];
      for (int32_t c = 0; c < channels; ++c) {
        const int32_t upper = (top[left + c] - zero) * (1024 - across) + (top[right + c] - zero) * across;
        const int32_t lower = (bottom[left + c] - zero) * (1024 - across) + (bottom[right + c] - zero) * across;
        const int32_t sum = upper * (1024 - down) + lower * down;
        const int32_t mean = sum / 1048576 - (sum % 1048576 < 0), rest = sum - mean * 1048576;
        y[c] = (uint8_t)(mean + (rest > 524288 || (rest == 524288 && mean % 2 != 0)) + zero);
      }
    }
  }
}
)"}},
    {Requantization::tflite,
     {"scale", "",
      R"(/* value * multiplier / 2^right rounded twice: to a multiple of 2^-31 of the value shifted to the left where right < 31, halves
   up, then by the shift to the right, halves away from zero; 1 <= right <= 62. */
static inline int32_t @_scale(int32_t value, int32_t multiplier, int32_t right) {
  const int32_t left = right < 31 ? 31 - right : 0, exponent = right > 31 ? right - 31 : 0;
  const int64_t product = (int64_t)(int32_t)((uint32_t)value << left) * multiplier + ((int64_t)1 << 30);
  const int64_t high = product >= 0 ? product >> 31 : ~(~product >> 31);
  const int64_t half = exponent == 0 ? 0 : (int64_t)1 << (exponent - 1);
  return (int32_t)(high < 0 ? -((half - high) >> exponent) : (high + half) >> exponent);
}
)"}},
};

/// The text of a piece in a network with that rounding.
constexpr std::string_view text_of(const CKernel& kernel, Requantization how) {
  for (const CKernelVariant& variant : c_kernel_variants)
    if (variant.how == how && variant.kernel.name == kernel.name) return variant.kernel.text;
  return kernel.text;
}

}  // namespace detail
}  // namespace fat::inline FAT_ABI

#endif
