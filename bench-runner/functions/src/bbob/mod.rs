//! The 24 noiseless functions of COCO's suite `bbob` (Hansen and others 2009, 2021), whose
//! instances have the same values as COCO's: shifts, rotations and minimal values come from the
//! same random numbers. The functions are meant for [−5, 5]ᵈ and are defined everywhere.

mod attractive_sector;
mod bent_cigar;
mod bueche_rastrigin;
mod compose;
mod core;
mod different_powers;
mod discus;
mod ellipsoid;
mod gallagher;
mod griewank_rosenbrock;
mod katsuura;
mod linear_slope;
mod lunacek;
mod random;
mod rastrigin;
mod rosenbrock;
mod schaffers;
mod schwefel;
mod sharp_ridge;
mod sphere;
mod step_ellipsoid;
mod transform;
mod weierstrass;

use crate::TestFunction;

/// All of them, f1 to f24.
pub const FUNCTIONS: &[&TestFunction] = &[
    &sphere::F1,
    &ellipsoid::F2,
    &rastrigin::F3,
    &bueche_rastrigin::F4,
    &linear_slope::F5,
    &attractive_sector::F6,
    &step_ellipsoid::F7,
    &rosenbrock::F8,
    &rosenbrock::F9,
    &ellipsoid::F10,
    &discus::F11,
    &bent_cigar::F12,
    &sharp_ridge::F13,
    &different_powers::F14,
    &rastrigin::F15,
    &weierstrass::F16,
    &schaffers::F17,
    &schaffers::F18,
    &griewank_rosenbrock::F19,
    &schwefel::F20,
    &gallagher::F21,
    &gallagher::F22,
    &katsuura::F23,
    &lunacek::F24,
];
