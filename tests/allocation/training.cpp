// A training step allocates nothing: forward, backward, update and projection of a student, and the steps of the loop.
#include <fat/model/quantize_model.hpp>

#include "../support/small_model.hpp"

#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace {

std::atomic<std::size_t> allocations{0};

void* counted(std::size_t size, std::size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* const made = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (made == nullptr) throw std::bad_alloc{};
  return made;
}

}  // namespace

void* operator new(std::size_t size) { return counted(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* pointer) noexcept { std::free(pointer); }
void operator delete(void* pointer, std::size_t) noexcept { std::free(pointer); }
void operator delete(void* pointer, std::align_val_t) noexcept { std::free(pointer); }
void operator delete(void* pointer, std::size_t, std::align_val_t) noexcept { std::free(pointer); }

BOOST_AUTO_TEST_SUITE(allocation_training)

namespace {

constexpr std::size_t count = 32;

std::size_t in_steps(const fat::StudentParts& parts, fat::Scheme weights, std::size_t threads) {
  const fat::Model model = fat::test::small_model();
  const fat::test::RandomImages images{model.input_extent(), count};
  const auto all = fat::draw_indices(count, count, 0);
  const auto ranges = fat::calibrate(model, images, all, fat::MinMax{}, 1);
  const fat::ModelGrids grids = fat::model_grids(model, ranges, {.weight_scheme = weights});
  fat::StudentOptions how;
  how.parts = parts;
  how.threads = threads;
  fat::StudentNetwork student{model, grids, [&](std::size_t n, std::span<float> to) { images.load(n, to); }, how,
                              ranges};
  const auto teacher = fat::teacher_outputs(model, images, all, 16, 1);
  fat::MinimizeOptions loop;
  loop.epochs = 4;
  loop.held_out = 0.0;
  std::size_t before = 0, spent = 0;
  fat::minimize(student, fat::Targets<float>{teacher, model.output_extent().size()}, fat::BatchRmse{}, fat::Adam{},
                fat::ConstantRate{1e-3}, loop, [&](const fat::StepReport& step) {
                  const std::size_t now = allocations.load();
                  if (step.step > 1) spent += now - before;
                  before = allocations.load();
                });
  return spent;
}

/// In the steps of finetune, restarts of the schedule included.
std::size_t in_finetune(const fat::QuantizeOptions& options) {
  const fat::Model model = fat::test::small_model();
  const fat::test::RandomImages images{model.input_extent(), count};
  const auto all = fat::draw_indices(count, count, 0);
  const auto ranges = fat::calibrate(model, images, all, fat::MinMax{}, 1);
  std::size_t before = 0, spent = 0;
  fat::finetune(model, fat::model_grids(model, ranges, options), ranges, model, images, all, options,
                [&](const fat::ProgressEvent& event) {
                  const std::size_t now = allocations.load();
                  if (event.stage == "train" && event.done > 1) spent += now - before;
                  before = allocations.load();
                });
  return spent;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_counter_counts) {
  const std::size_t before = allocations.load();
  const std::vector<float> made(100);
  BOOST_TEST(allocations.load() == before + 1);
}

BOOST_AUTO_TEST_CASE(a_step_allocates_nothing) {
  for (const std::size_t threads : {1U, 2U})
    for (const auto weights : {fat::Scheme::symmetric, fat::Scheme::asymmetric}) {
      BOOST_TEST(in_steps({}, weights, threads) == 0U);
      BOOST_TEST(in_steps({true, true, true, true, {}}, weights, threads) == 0U);
    }
}

BOOST_AUTO_TEST_CASE(a_step_of_any_loss_and_optimizer_allocates_nothing) {
  using fat::TrainingLoss;
  for (const auto loss : {TrainingLoss::batch_rmse, TrainingLoss::element_rmse, TrainingLoss::absolute})
    for (const auto optimizer : {fat::TrainingOptimizer::adam, fat::TrainingOptimizer::sgd})
      BOOST_TEST(in_finetune({.finetune = fat::Finetuning::both, .loss = loss, .optimizer = optimizer, .cycles = 3}) ==
                 0U);
}

BOOST_AUTO_TEST_SUITE_END()
