//! What CPUID says: a generic processor with what this engine implements, and nothing else.

/// "GenuineIntel" as EBX, ECX and EDX hold it. Drivers that know no other vendor refuse to load.
const VENDOR: [u32; 3] = [0x756e_6547, 0x6c65_746e, 0x4965_6e69];

/// Family 6, model 0x9e, stepping 9.
const SIGNATURE: u32 = 0x0009_06e9;

/// CLFLUSH line of 8 quadwords, one logical processor.
const BRAND_AND_LINE: u32 = 0x0001_0800;

/// SSE3, SSSE3, CMPXCHG16B, MOVBE, POPCNT.
const FEATURES_ECX: u32 = bits(&[0, 9, 13, 22, 23]);

/// FPU, DE, PSE, TSC, MSR, PAE, CMPXCHG8B, APIC, MTRR, PGE, CMOV, PAT, CLFLUSH, MMX, FXSR, SSE, SSE2.
const FEATURES_EDX: u32 = bits(&[0, 2, 3, 4, 5, 6, 8, 9, 12, 13, 15, 16, 19, 23, 24, 25, 26]);

/// BMI1, BMI2, ADX.
const STRUCTURED_EBX: u32 = bits(&[3, 8, 19]);

/// LAHF in 64-bit mode, LZCNT, PREFETCHW.
const EXTENDED_ECX: u32 = bits(&[0, 5, 8]);

/// NX, RDTSCP, 64-bit mode.
const EXTENDED_EDX: u32 = bits(&[20, 27, 29]);

/// 40 physical and 48 linear address bits.
const ADDRESS_BITS: u32 = 0x3028;

const LAST: u32 = 0x7;
const LAST_EXTENDED: u32 = 0x8000_0008;

const fn bits(numbers: &[u32]) -> u32 {
    let (mut all, mut index) = (0, 0);
    while index < numbers.len() {
        all |= 1 << numbers[index];
        index += 1;
    }
    all
}

/// EAX, EBX, ECX and EDX for a leaf; zeroes where there is none.
pub(super) fn answer(leaf: u32, subleaf: u32) -> [u32; 4] {
    match (leaf, subleaf) {
        (0, _) => [LAST, VENDOR[0], VENDOR[1], VENDOR[2]],
        (1, _) => [SIGNATURE, BRAND_AND_LINE, FEATURES_ECX, FEATURES_EDX],
        (7, 0) => [0, STRUCTURED_EBX, 0, 0],
        (0x8000_0000, _) => [LAST_EXTENDED, 0, 0, 0],
        (0x8000_0001, _) => [0, 0, EXTENDED_ECX, EXTENDED_EDX],
        (0x8000_0008, _) => [ADDRESS_BITS, 0, 0, 0],
        _ => [0; 4],
    }
}
