//! Claims, what the evidence for each must be, and whether it is: `reports/claims.toml`, read and judged.

mod claim;
mod file;
mod judgement;
mod measured;
mod record;

pub use claim::{Claim, Source, Verdict};
pub use file::Claims;
pub use judgement::{Judgement, judge_together};
pub use measured::{ClaimValue, Compared, Detectable, cells};
pub use record::updated;
