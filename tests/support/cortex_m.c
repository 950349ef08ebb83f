/* Start of a bare-metal program on an emulated Cortex-M board: its vector table, and the exit code by semihosting. */
#include <stdint.h>

int main(void);
extern uint8_t stack_top[];
void reset(void);

/* Semihosting call SYS_EXIT_EXTENDED: reason "application exit" and the exit code. */
static void leave(uint32_t code) {
  const uint32_t block[2] = {0x20026U, code};
  register uint32_t operation __asm__("r0") = 0x20U;
  register const uint32_t *argument __asm__("r1") = block;
  __asm__ volatile("bkpt 0xAB" : : "r"(operation), "r"(argument) : "memory");
  for (;;) {
  }
}

static void fault(void) { leave(254); }
void reset(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
  *(volatile uint32_t *)0xE000ED88U |= 0xFU << 20; /* CPACR: coprocessors 10 and 11, floating point and Helium */
  __asm__ volatile("dsb\n isb" : : : "memory");
#endif
#if defined(__ARM_ARCH_8_1M_MAIN__)
  *(volatile uint32_t *)0xE000ED14U |= 1U << 19; /* CCR.LOB: low-overhead loops */
  __asm__ volatile("dsb\n isb" : : : "memory");
#endif
  leave((uint32_t)main());
}

typedef void (*handler)(void);
__attribute__((section(".vectors"), used)) static const struct {
  uint8_t *stack;
  handler handlers[15];
} vectors = {stack_top, {reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault}};
