// The Python class of readers: a reader of the core and what keeps its memory alive.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "emcomp/readers/row_reader.hpp"

namespace emcomp::bindings {

class Reader {
 public:
  using Ids = DenseArray<std::int64_t>;
  using Floats = DenseArray<float>;

  // `owners` keep alive what the reader reads.
  Reader(std::shared_ptr<const readers::RowReader> reader, std::vector<py::object> owners)
      : reader_(std::move(reader)), owners_(std::move(owners)) {}

  const std::shared_ptr<const readers::RowReader>& core() const { return reader_; }
  const std::vector<py::object>& owners() const { return owners_; }

  std::int64_t rows() const { return reader_->rows(); }
  std::int64_t dim() const { return reader_->dim(); }

  Floats row(std::int64_t id) const;
  void gather(const Ids& ids, py::array& out, int threads) const;
  void read(std::int64_t first, py::array& out, int threads) const;
  void bag(const Ids& ids, const Ids& offsets, const std::optional<Floats>& weights,
           const std::string& mode, Floats& out, int threads) const;
  py::tuple similar(const Floats& queries, std::int64_t k, int threads) const;

 private:
  void check(std::span<const std::int64_t> ids) const;
  std::byte* destination(py::array& out, py::ssize_t count) const;

  std::shared_ptr<const readers::RowReader> reader_;
  std::vector<py::object> owners_;
};

}  // namespace emcomp::bindings
