#include "emcomp/readers/stored_trellis.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "emcomp/base/errors.hpp"
#include "emcomp/base/half.hpp"
#include "emcomp/codes/row_places.hpp"

namespace emcomp::readers {

namespace {

constexpr int kWideTables = codes::kWidestTrellis - kByteTables;
constexpr std::int64_t kStepsOfScale = 4;      // 64ths of an octave
constexpr std::int64_t kFarthest = 64 * 1024;  // exponents beyond all floats

void fill_tables(const StoredTrellis& stored, codes::TrellisCode& code) {
  const auto states = static_cast<std::size_t>(code.states());
  const std::size_t half = states / 2;
  code.tables.resize(codes::kWidestTrellis * states);
  for (std::size_t i = 0; i < codes::kWidestTrellis * half; ++i) {
    const std::size_t table = i / half;
    const std::size_t window = i % half;
    const float value = table < kByteTables
                            ? static_cast<float>(static_cast<std::int8_t>(stored.tables[i]))
                            : base::float_from_half(stored.wide_tables[i - kByteTables * half]);
    code.tables[table * states + window] = value;
    code.tables[(table + 1) * states - 1 - window] = -value;
  }
}

}  // namespace

codes::TrellisCode make_trellis_code(const StoredTrellis& stored, const std::string& codec) {
  const auto check = [&](bool good, const char* problem) {
    if (!good) throw FormatError("codec '" + codec + "': " + problem);
  };
  check(stored.classes >= 1 && stored.classes <= codes::kMostClasses &&
            stored.widths.size() % stored.classes == 0,
        "it must have 1 to 16 classes of rows");
  const std::size_t dim = stored.widths.size() / stored.classes;
  const std::size_t half = stored.tables.size() / kByteTables;
  check(dim > 0 && stored.scales.size() == stored.widths.size() && stored.grid.size() == 3 &&
            (stored.offset.empty() || stored.offset.size() == dim) &&
            stored.steps.size() == kByteTables && std::has_single_bit(half) &&
            half < (std::size_t{1} << codes::kLongestWindow) &&
            stored.tables.size() == kByteTables * half &&
            stored.wide_tables.size() == kWideTables * half,
        "its tensors do not fit each other");
  codes::TrellisCode code;
  code.window = std::countr_zero(half) + 1;
  code.offset.assign(stored.offset.begin(), stored.offset.end());
  code.layouts.resize(stored.classes);
  for (std::size_t c = 0; c < stored.classes; ++c) {
    codes::TrellisLayout& layout = code.layouts[c];
    const auto widths = stored.widths.subspan(c * dim, dim);
    layout.widths.assign(widths.begin(), widths.end());
    const int widest = *std::max_element(widths.begin(), widths.end());
    check(widest <= codes::kWidestTrellis && widest <= code.window,
          "tensor 'widths' must hold widths up to 8, and no more than the window's");
    const bool none = stored.classes > 1 && layout.own_bits() == 0;
    check(none || layout.code_bits() >= code.window,
          "the widths of all columns must make a window's bits");
  }
  fill_tables(stored, code);

  const auto [low, step, scale_low] = std::array{stored.grid[0], stored.grid[1], stored.grid[2]};
  const auto near = [](std::int64_t number) { return -kFarthest < number && number < kFarthest; };
  check(near(low) && near(step) && step >= 0 && near(scale_low), "tensor 'grid' is out of range");
  code.gains[0] = 0.0f;
  for (std::size_t gain = 1; gain < code.gains.size(); ++gain) {
    code.gains[gain] = codes::power_of_two_64ths(low + step * static_cast<std::int64_t>(gain - 1));
  }
  const auto good = [](float value) { return std::isfinite(value) && value >= 0.0f; };
  for (std::size_t c = 0; c < stored.classes; ++c) {
    codes::TrellisLayout& layout = code.layouts[c];
    layout.factors.resize(dim);
    for (std::size_t j = 0; j < dim; ++j) {
      const int scale_code = stored.scales[c * dim + j];
      if (scale_code == 0) continue;
      const float scale = codes::power_of_two_64ths(kStepsOfScale * (scale_low + scale_code));
      const std::size_t table = static_cast<std::size_t>(std::max<int>(layout.widths[j], 1)) - 1;
      layout.factors[j] = table < kByteTables ? stored.steps[table] * scale : scale;
    }
    check(std::all_of(layout.factors.begin(), layout.factors.end(), good),
          "its scales must be finite and not negative");
  }
  check(std::all_of(code.gains.begin(), code.gains.end(), good), "its gains must be finite");
  return code;
}

}  // namespace emcomp::readers
