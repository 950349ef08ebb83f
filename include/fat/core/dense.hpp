// DenseValues: the values of any tensor as one row-major block, without a copy where the tensor is one already.
#ifndef FAT_CORE_DENSE_HPP_INCLUDED
#define FAT_CORE_DENSE_HPP_INCLUDED

#include <fat/core/tensor.hpp>

namespace fat::inline FAT_ABI {

/// Read access to a tensor that must outlive it. Allocates only for lazy, strided and column-major tensors.
template <class Value>
class DenseValues {
 public:
  template <Tensor T>
    requires std::same_as<value_type_of<T>, Value>
  explicit DenseValues(const T& t) : data_(contiguous_data(t)) {
    if (data_ != nullptr) return;
    copy_.reserve(size_of(t));
    for (auto at = traits_of<T>::begin(t); copy_.size() != size_of(t); ++at) copy_.push_back(static_cast<Value>(*at));
    data_ = copy_.data();
  }
  DenseValues(const DenseValues&) = delete;
  DenseValues& operator=(const DenseValues&) = delete;
  ~DenseValues() = default;
  const Value* data() const noexcept { return data_; }

 private:
  const Value* data_;
  aligned_vector<Value> copy_;
};

/// Calls write(pointer) to fill a tensor: into its own memory, or into a block that is then copied element by element.
template <MutableTensor Out, class Write>
void write_dense(Out& out, const Write& write) {
  if (const auto data = contiguous_data(out); data != nullptr) return write(data);
  aligned_vector<value_type_of<Out>> block(size_of(out));
  write(block.data());
  auto to = traits_of<Out>::begin(out);
  for (const auto& value : block) {
    *to = value;
    ++to;
  }
}

}  // namespace fat::inline FAT_ABI

#endif
