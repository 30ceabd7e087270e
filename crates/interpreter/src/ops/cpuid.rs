//! What CPUID says: a generic processor with what this engine implements, and nothing else.

/// "GenuineIntel" as EBX, ECX and EDX hold it. Drivers that know no other vendor refuse to load.
const VENDOR: [u32; 3] = [0x756e_6547, 0x6c65_746e, 0x4965_6e69];

/// Family 6, model 0x9e, stepping 9.
const SIGNATURE: u32 = 0x0009_06e9;

/// CLFLUSH line of 8 quadwords, one logical processor.
const BRAND_AND_LINE: u32 = 0x0001_0800;

/// SSE3, SSSE3, CMPXCHG16B, MOVBE, POPCNT.
const FEATURES_ECX: u32 = bits(&[0, 9, 13, 22, 23]);

/// FPU, DE, PSE, TSC, MSR, PAE, CMPXCHG8B, APIC, MTRR, PGE, CMOV, PAT, CLFLUSH, FXSR, SSE, SSE2. No MMX: 64-bit compilers
/// do not use its registers.
const FEATURES_EDX: u32 = bits(&[0, 2, 3, 4, 5, 6, 8, 9, 12, 13, 15, 16, 19, 24, 25, 26]);

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

#[cfg(test)]
mod tests {
    use super::super::samples::{is_implemented, samples};
    use iced_x86::{CpuidFeature, Instruction, Mnemonic};

    /// The features above that have instructions of their own.
    const OFFERED: [CpuidFeature; 20] = [
        CpuidFeature::TSC,
        CpuidFeature::MSR,
        CpuidFeature::CX8,
        CpuidFeature::CMOV,
        CpuidFeature::CLFSH,
        CpuidFeature::FXSR,
        CpuidFeature::SSE,
        CpuidFeature::SSE2,
        CpuidFeature::SSE3,
        CpuidFeature::SSSE3,
        CpuidFeature::CMPXCHG16B,
        CpuidFeature::MOVBE,
        CpuidFeature::POPCNT,
        CpuidFeature::BMI1,
        CpuidFeature::BMI2,
        CpuidFeature::ADX,
        CpuidFeature::LZCNT,
        CpuidFeature::PREFETCHW,
        CpuidFeature::RDTSCP,
        CpuidFeature::CPUID,
    ];

    /// Offered because SSE2 is part of the architecture, and yet refused: approximations that differ from processor to
    /// processor, and a store that no compiler makes.
    const REFUSED: [Mnemonic; 5] =
        [Mnemonic::Rcpps, Mnemonic::Rcpss, Mnemonic::Rsqrtps, Mnemonic::Rsqrtss, Mnemonic::Maskmovdqu];

    fn is_refused(instruction: &Instruction) -> bool {
        let uses_mmx = format!("{:?}", instruction.code()).contains("_mm");
        uses_mmx || REFUSED.contains(&instruction.mnemonic())
    }

    #[test]
    fn what_is_offered_runs() {
        let samples = samples();
        for feature in OFFERED {
            let of_feature = || samples.iter().filter(|(code, _)| code.cpuid_features().contains(&feature));
            assert!(of_feature().count() > 0, "no sample of {feature:?}");
            for (code, instruction) in of_feature().filter(|(_, instruction)| !is_refused(instruction)) {
                assert!(is_implemented(instruction), "{feature:?}: {code:?}");
            }
        }
    }
}
