//! What the host's processor is and which instruction set extensions it has.

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::__cpuid;
use std::sync::LazyLock;

use iced_x86::CpuidFeature;

/// True on AMD's processors and those derived from them.
pub(crate) fn is_amd() -> bool {
    static VENDOR: LazyLock<[u32; 3]> = LazyLock::new(|| {
        let leaf = __cpuid(0);
        [leaf.ebx, leaf.edx, leaf.ecx]
    });
    let text = VENDOR.map(u32::to_le_bytes);
    [*b"AuthenticAMD", *b"HygonGenuine"].iter().any(|name| text.as_flattened() == name)
}

/// True where the host executes instructions that belong to `feature`.
pub(crate) fn host_has(feature: CpuidFeature) -> bool {
    use CpuidFeature as F;
    match feature {
        F::INTEL8086
        | F::INTEL186
        | F::INTEL286
        | F::INTEL386
        | F::INTEL486
        | F::X64
        | F::CMOV
        | F::CX8
        | F::FPU
        | F::FPU287
        | F::FPU387
        | F::FXSR
        | F::MMX
        | F::MULTIBYTENOP
        | F::PAUSE
        | F::SSE
        | F::SSE2 => true,
        F::ADX => is_x86_feature_detected!("adx"),
        F::AVX => is_x86_feature_detected!("avx"),
        F::AVX2 => is_x86_feature_detected!("avx2"),
        F::BMI1 => is_x86_feature_detected!("bmi1"),
        F::BMI2 => is_x86_feature_detected!("bmi2"),
        F::CMPXCHG16B => is_x86_feature_detected!("cmpxchg16b"),
        F::LZCNT => is_x86_feature_detected!("lzcnt"),
        F::MOVBE => is_x86_feature_detected!("movbe"),
        F::POPCNT => is_x86_feature_detected!("popcnt"),
        F::PREFETCHW => is_x86_feature_detected!("lzcnt"),
        F::SHA => is_x86_feature_detected!("sha"),
        F::SSE3 => is_x86_feature_detected!("sse3"),
        F::SSSE3 => is_x86_feature_detected!("ssse3"),
        F::SSE4_1 => is_x86_feature_detected!("sse4.1"),
        F::SSE4_2 => is_x86_feature_detected!("sse4.2"),
        _ => false,
    }
}
