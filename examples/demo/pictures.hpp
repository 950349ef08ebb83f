// Pictures drawn from a seed: 48x48 RGB, sixteen kinds of object on cluttered backgrounds; the same bytes on every machine.
#ifndef FAT_EXAMPLES_DEMO_PICTURES_HPP_INCLUDED
#define FAT_EXAMPLES_DEMO_PICTURES_HPP_INCLUDED

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace demo {

inline constexpr std::size_t picture_side = 48;
inline constexpr std::size_t picture_bytes = picture_side * picture_side * 3;
inline constexpr std::array<const char*, 16> class_names{"disc", "ring",  "crescent", "triangle", "square", "pentagon",
                                                         "star", "cross", "heart",    "arrow",    "house",  "fish",
                                                         "tree", "key",   "mug",      "flower"};
inline constexpr std::size_t class_count = class_names.size();

/// Seeds of the streams of pictures: what one is used for, the others never show.
inline constexpr std::uint64_t training_stream = 1;
inline constexpr std::uint64_t calibration_stream = 2;
inline constexpr std::uint64_t evaluation_stream = 3;

/// RGB bytes, rows from top to bottom.
using Picture = std::array<std::uint8_t, picture_bytes>;

/// SplitMix64: integers only, so every compiler and CPU draws the same numbers.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) : state_(seed) {}
  constexpr std::uint64_t bits() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }
  /// Uniform over low..high, both included.
  constexpr int between(int low, int high) {
    const auto width = static_cast<std::uint64_t>(high - low + 1);
    return low + static_cast<int>(((bits() >> 32U) * width) >> 32U);
  }
  constexpr bool chance(int percent) { return between(0, 99) < percent; }

 private:
  std::uint64_t state_;
};

namespace detail {

/// A point in an object's own frame: 1024 is the object's nominal radius, v points down.
struct Point {
  int u = 0;
  int v = 0;
};

/// 1024 * sin(degrees) within two thousandths (Bhaskara's rational approximation).
constexpr int sine(int degrees) {
  degrees = (degrees % 360 + 360) % 360;
  const int half = degrees % 180;
  const int product = half * (180 - half);
  const int value = 4096 * product / (40500 - product);
  return degrees < 180 ? value : -value;
}
constexpr int cosine(int degrees) { return sine(degrees + 90); }

constexpr bool in_disc(Point p, Point center, int radius) {
  const int du = p.u - center.u;
  const int dv = p.v - center.v;
  return du * du + dv * dv <= radius * radius;
}
constexpr bool in_box(Point p, int left, int top, int right, int bottom) {
  return p.u >= left && p.u <= right && p.v >= top && p.v <= bottom;
}
/// Even-odd rule.
constexpr bool in_polygon(Point p, std::span<const Point> corners) {
  bool inside = false;
  Point a = corners.back();
  for (const Point b : corners) {
    if ((a.v > p.v) != (b.v > p.v)) {
      const bool right_of_edge = (b.u - a.u) * (p.v - a.v) < (p.u - a.u) * (b.v - a.v);
      inside ^= right_of_edge == (b.v > a.v);
    }
    a = b;
  }
  return inside;
}
/// Corners on circles of alternating radii, the first one at the top.
template <std::size_t Corners>
constexpr std::array<Point, Corners> radial(int even, int odd) {
  std::array<Point, Corners> corners{};
  for (std::size_t i = 0; i != Corners; ++i) {
    const int angle = static_cast<int>(i * 360 / Corners);
    const int radius = i % 2 == 0 ? even : odd;
    corners[i] = {radius * sine(angle) / 1024, -radius * cosine(angle) / 1024};
  }
  return corners;
}

inline constexpr auto triangle = radial<3>(1080, 1080);
inline constexpr auto pentagon = radial<5>(980, 980);
inline constexpr auto star = radial<10>(1120, 480);
inline constexpr std::array<Point, 3> heart_tip{{{-900, 80}, {900, 80}, {0, 1000}}};
inline constexpr std::array<Point, 7> arrow{
    {{0, -1000}, {720, -160}, {290, -160}, {290, 960}, {-290, 960}, {-290, -160}, {-720, -160}}};
inline constexpr std::array<Point, 3> roof{{{-960, -120}, {0, -980}, {960, -120}}};
inline constexpr std::array<Point, 3> fish_tail{{{350, 0}, {1080, -560}, {1080, 560}}};
inline constexpr std::array<Point, 3> tree_top{{{-600, -80}, {0, -1080}, {600, -80}}};
inline constexpr std::array<Point, 3> tree_middle{{{-840, 560}, {0, -560}, {840, 560}}};

/// Does the object of this class cover the point?
constexpr bool covers(std::size_t kind, Point p) {
  switch (kind) {
    case 0:
      return in_disc(p, {}, 860);
    case 1:
      return in_disc(p, {}, 930) && !in_disc(p, {}, 540);
    case 2:
      return in_disc(p, {}, 980) && !in_disc(p, {440, 0}, 760);
    case 3:
      return in_polygon(p, triangle);
    case 4:
      return in_box(p, -770, -770, 770, 770);
    case 5:
      return in_polygon(p, pentagon);
    case 6:
      return in_polygon(p, star);
    case 7:
      return in_box(p, -290, -950, 290, 950) || in_box(p, -950, -290, 950, 290);
    case 8:
      return in_disc(p, {-440, -220}, 540) || in_disc(p, {440, -220}, 540) || in_polygon(p, heart_tip);
    case 9:
      return in_polygon(p, arrow);
    case 10:
      return in_polygon(p, roof) || (in_box(p, -700, -120, 700, 860) && !in_box(p, -200, 260, 200, 860));
    case 11:
      return in_polygon(p, fish_tail) ||
             (in_disc({p.u, p.v * 3 / 2}, {-260, 0}, 800) && !in_disc(p, {-640, -120}, 130));
    case 12:
      return in_polygon(p, tree_top) || in_polygon(p, tree_middle) || in_box(p, -180, 560, 180, 1000);
    case 13:
      return (in_disc(p, {0, -600}, 460) && !in_disc(p, {0, -600}, 200)) || in_box(p, -120, -200, 120, 1020) ||
             in_box(p, 0, 480, 430, 640) || in_box(p, 0, 800, 430, 1020);
    case 14:
      return in_box(p, -800, -760, 400, 800) || (in_disc(p, {420, 0}, 560) && !in_disc(p, {420, 0}, 300) && p.u > 0);
    default: {
      bool petal = false;
      for (int i = 0; i != 5; ++i)
        petal = petal || in_disc(p, {620 * sine(72 * i) / 1024, -620 * cosine(72 * i) / 1024}, 380);
      return petal && !in_disc(p, {}, 240);
    }
  }
}

struct Color {
  std::array<int, 3> rgb{};
};
constexpr Color random_color(Random& random) {
  return {{random.between(0, 255), random.between(0, 255), random.between(0, 255)}};
}
constexpr int distance(const Color& a, const Color& b) {
  int sum = 0;
  for (std::size_t i = 0; i != 3; ++i) sum += a.rgb[i] > b.rgb[i] ? a.rgb[i] - b.rgb[i] : b.rgb[i] - a.rgb[i];
  return sum;
}
/// Weight is out of 256.
constexpr Color mix(const Color& a, const Color& b, int weight) {
  Color mixed;
  for (std::size_t i = 0; i != 3; ++i) mixed.rgb[i] = (a.rgb[i] * (256 - weight) + b.rgb[i] * weight) / 256;
  return mixed;
}
/// A colour that stands out from another one.
constexpr Color contrasting_color(Random& random, const Color& other, int least) {
  Color color = random_color(random);
  while (distance(color, other) < least) color = random_color(random);
  return color;
}

/// Two colours and how they alternate over the (u, v) plane.
struct Fill {
  enum class Pattern { plain, gradient, stripes, checks };
  Color first;
  Color second;
  Pattern pattern = Pattern::plain;
  int period = 1;
  constexpr Color at(Point p) const {
    const int u = p.u + 16384;
    const int v = p.v + 16384;
    switch (pattern) {
      case Pattern::plain:
        return first;
      case Pattern::gradient:
        return mix(first, second, std::clamp((p.v + 1024) / 8, 0, 256));
      case Pattern::stripes:
        return (v / period) % 2 == 0 ? first : second;
      default:
        return (u / period + v / period) % 2 == 0 ? first : second;
    }
  }
};
/// `strength` of 256 is how far the second colour may move away from the first.
constexpr Fill random_fill(Random& random, const Color& first, int strength, int shortest, int longest) {
  const Color other = random_color(random);
  const Color second = mix(first, other, random.between(0, strength));
  const auto pattern = static_cast<Fill::Pattern>(random.between(0, 3));
  return {first, second, pattern, random.between(shortest, longest)};
}

/// Where an object stands: pixels to its own frame, with rotation, two scales and so an aspect ratio.
class Placement {
 public:
  /// Position and half extents in 1/256 pixel.
  constexpr Placement(int x, int y, int half_width, int half_height, int degrees)
      : x_(x), y_(y), reach_((half_width > half_height ? half_width : half_height) * 5 / 4) {
    u_per_x_ = scaled(cosine(degrees), half_width);
    u_per_y_ = scaled(sine(degrees), half_width);
    v_per_x_ = scaled(-sine(degrees), half_height);
    v_per_y_ = scaled(cosine(degrees), half_height);
  }
  constexpr Point local(int x, int y) const {
    const int dx = x - x_;
    const int dy = y - y_;
    return {(u_per_x_ * dx + u_per_y_ * dy) / 4096, (v_per_x_ * dx + v_per_y_ * dy) / 4096};
  }
  /// First and last pixel of a line that the object can touch; empty where last < first.
  static constexpr int first_pixel(int center, int reach) { return std::max(0, (center - reach) / 256); }
  static constexpr int last_pixel(int center, int reach) {
    return std::min(static_cast<int>(picture_side) - 1, (center + reach) / 256);
  }
  constexpr int left() const { return first_pixel(x_, reach_); }
  constexpr int right() const { return last_pixel(x_, reach_); }
  constexpr int top() const { return first_pixel(y_, reach_); }
  constexpr int bottom() const { return last_pixel(y_, reach_); }

 private:
  static constexpr int scaled(int direction, int half) { return direction * 4096 / half; }
  int x_;
  int y_;
  int reach_;
  int u_per_x_ = 0;
  int u_per_y_ = 0;
  int v_per_x_ = 0;
  int v_per_y_ = 0;
};

constexpr std::uint8_t* pixel(Picture& picture, int x, int y) {
  return picture.data() + 3 * (static_cast<std::size_t>(y) * picture_side + static_cast<std::size_t>(x));
}

/// Draws what `covers(point)` says with nine samples a pixel.
template <class Covers>
constexpr void draw(Picture& picture, const Placement& place, const Fill& fill, Covers&& covers) {
  for (int y = place.top(); y <= place.bottom(); ++y)
    for (int x = place.left(); x <= place.right(); ++x) {
      int hits = 0;
      for (int sub = 0; sub != 9; ++sub)
        hits += covers(place.local(256 * x + 43 + 85 * (sub % 3), 256 * y + 43 + 85 * (sub / 3))) ? 1 : 0;
      if (hits == 0) continue;
      const Color color = fill.at(place.local(256 * x + 128, 256 * y + 128));
      std::uint8_t* out = pixel(picture, x, y);
      for (std::size_t i = 0; i != 3; ++i)
        out[i] = static_cast<std::uint8_t>((out[i] * (9 - hits) + color.rgb[i] * hits) / 9);
    }
}

/// Two colours in a pattern, shaded by smooth noise on a lattice of 8 pixels.
constexpr void draw_background(Picture& picture, Random& random, const Fill& fill) {
  constexpr int cell = 8;
  constexpr int knots = static_cast<int>(picture_side) / cell + 1;
  std::array<std::array<int, knots>, knots> lattice{};
  const int roughness = random.between(0, 40);
  for (auto& row : lattice)
    for (int& knot : row) knot = random.between(-roughness, roughness);
  const Placement frame{random.between(0, 12288), random.between(0, 12288), 6144, 6144, random.between(0, 359)};
  for (int y = 0; y != static_cast<int>(picture_side); ++y)
    for (int x = 0; x != static_cast<int>(picture_side); ++x) {
      const auto row = static_cast<std::size_t>(y / cell);
      const auto column = static_cast<std::size_t>(x / cell);
      const int right = x % cell;
      const int down = y % cell;
      const int upper = lattice[row][column] * (cell - right) + lattice[row][column + 1] * right;
      const int lower = lattice[row + 1][column] * (cell - right) + lattice[row + 1][column + 1] * right;
      const int shade = (upper * (cell - down) + lower * down) / (cell * cell);
      const Color color = fill.at(frame.local(256 * x + 128, 256 * y + 128));
      std::uint8_t* out = pixel(picture, x, y);
      for (std::size_t i = 0; i != 3; ++i) out[i] = static_cast<std::uint8_t>(std::clamp(color.rgb[i] + shade, 0, 255));
    }
}

/// A small piece of clutter: a bar, a blob, a wedge or an arc.
constexpr void draw_clutter(Picture& picture, Random& random, int smallest, int largest) {
  const int kind = random.between(0, 3);
  const int size = random.between(smallest, largest);
  const Placement place{random.between(0, 12288), random.between(0, 12288), size,
                        kind == 0 ? std::max(160, size / 6) : size, random.between(0, 359)};
  const Fill fill = random_fill(random, random_color(random), 256, 200, 500);
  draw(picture, place, fill, [kind](Point p) {
    switch (kind) {
      case 0:
        return in_box(p, -1000, -1000, 1000, 1000);
      case 1:
        return in_disc(p, {}, 800);
      case 2:
        return p.v > 0 && p.v < 900 && p.u > 0 && p.u + p.v < 900;
      default:
        return p.u > 0 && in_disc(p, {}, 1000) && !in_disc(p, {}, 760);
    }
  });
}

}  // namespace detail

/// How hard the pictures are. The default is what networks are measured on.
struct Style {
  int clutter = 7;      ///< most pieces behind the object
  int covers = 3;       ///< most pieces in front of it
  int contrast = 150;   ///< least distance of the object's colour from the background's (sum over RGB)
  int smallest = 2100;  ///< least half extent, in 1/256 pixel
  int tilt = 75;        ///< largest rotation in degrees
  int noise = 24;       ///< largest amplitude of the noise
};
/// Large, plain and upright: what training begins with.
inline constexpr Style easy_style{
    .clutter = 3, .covers = 0, .contrast = 250, .smallest = 3000, .tilt = 25, .noise = 12};

/// The class of picture `index`; classes take turns, so every run of class_count pictures holds each of them once.
constexpr std::size_t picture_label(std::uint64_t index) { return static_cast<std::size_t>(index % class_count); }

/// Draws picture `index` of the stream `seed`.
constexpr void draw_picture(std::uint64_t seed, std::uint64_t index, Picture& picture, const Style& style = {}) {
  using namespace detail;
  Random random{Random{seed * 0x632be59bd9b4e019U + index}.bits()};
  const Color ground = random_color(random);
  const Fill scene = random_fill(random, ground, 140, 150, 700);
  draw_background(picture, random, scene);
  for (int piece = random.between(0, style.clutter); piece != 0; --piece) draw_clutter(picture, random, 500, 1700);

  const int size = random.between(style.smallest, 4400);
  const int aspect = random.between(200, 256);
  const bool wide = random.chance(50);
  const int margin = size * 3 / 4;
  const Placement place{random.between(margin, 12288 - margin), random.between(margin, 12288 - margin),
                        wide ? size : size * aspect / 256, wide ? size * aspect / 256 : size,
                        random.between(-style.tilt, style.tilt)};
  const Color paint = contrasting_color(random, ground, style.contrast);
  const std::size_t kind = picture_label(index);
  const Fill coat = random_fill(random, paint, 100, 150, 600);
  draw(picture, place, coat, [kind](Point p) { return covers(kind, p); });
  for (int piece = random.between(0, style.covers); piece != 0; --piece) draw_clutter(picture, random, 500, 1900);

  const int gain = random.between(150, 256);
  const int lift = random.between(0, 256 - gain);
  const int noise = random.between(0, style.noise);
  for (std::uint8_t& byte : picture) {
    const std::uint64_t grain = random.bits();
    const int first = static_cast<int>((grain & 0xffffU) * static_cast<std::uint64_t>(2 * noise + 1) >> 16U) - noise;
    const int second = static_cast<int>((grain >> 48U) * static_cast<std::uint64_t>(2 * noise + 1) >> 16U) - noise;
    const int value = byte * gain / 256 + lift / 2 + first + second;
    byte = static_cast<std::uint8_t>(std::clamp(value, 0, 255));
  }
}

}  // namespace demo

#endif
