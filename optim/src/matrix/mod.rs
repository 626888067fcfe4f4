//! Methods that see a parameter as a matrix, whose rows and columns belong together: Muon, SOAP
//! and Shampoo.

mod eigenbasis;
mod matrixwise;
mod modes;
mod muon;
mod newton_schulz;
mod product;
mod shampoo;
mod soap;

pub use matrixwise::Matrixwise;
pub use muon::{Momentum, Muon, MuonConfig, RateScale};
pub use shampoo::{Shampoo, ShampooConfig};
pub use soap::{Soap, SoapConfig};
