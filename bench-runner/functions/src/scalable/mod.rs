//! Families of any size, from 2 to 10,000 dimensions: classical global problems and those of the
//! CUTEst collection. An evaluation with gradient is O(d), but for `perm`.

mod arwhead;
mod bdqrtic;
mod brown;
mod broyden_banded;
mod broyden_tridiagonal;
mod cosine;
mod cragg_levy;
mod different_powers;
mod discrete_boundary;
mod dixon_maany;
mod dixon_price;
mod double_sum;
mod dqrtic;
mod edensch;
mod engval1;
mod extended_wood;
mod freudenstein_roth;
mod genrose;
mod griewank;
mod levy;
mod liarwhd;
mod michalewicz;
mod nondia;
mod nondquar;
mod perm;
mod power;
mod qing;
mod salomon;
mod schmidt_vetters;
mod sinquad;
mod sum_squares;
mod toint_gaussian;
mod tquartic;
mod trid;
mod tridia;
mod white_holst;
mod zakharov;

use crate::{TestFunction, mgh};

/// All of them, by name. Five are problems of [`mgh`] that are defined for any dimension.
pub const FUNCTIONS: &[&TestFunction] = &[
    &arwhead::ARWHEAD,
    &bdqrtic::BDQRTIC,
    &brown::BROWN,
    &broyden_banded::BROYDEN_BANDED,
    &broyden_tridiagonal::BROYDEN_TRIDIAGONAL,
    &cosine::COSINE,
    &cragg_levy::CRAGG_LEVY,
    &different_powers::DIFFERENT_POWERS,
    &discrete_boundary::DISCRETE_BOUNDARY,
    &dixon_maany::DIXMAANA,
    &dixon_maany::DIXMAANL,
    &dixon_price::DIXON_PRICE,
    &double_sum::DOUBLE_SUM,
    &dqrtic::DQRTIC,
    &edensch::EDENSCH,
    &engval1::ENGVAL1,
    &mgh::extended_powell::EXTENDED_POWELL,
    &mgh::extended_rosenbrock::EXTENDED_ROSENBROCK,
    &extended_wood::EXTENDED_WOOD,
    &freudenstein_roth::FREUDENSTEIN_ROTH,
    &genrose::GENROSE,
    &griewank::GRIEWANK,
    &levy::LEVY,
    &liarwhd::LIARWHD,
    &michalewicz::MICHALEWICZ,
    &nondia::NONDIA,
    &nondquar::NONDQUAR,
    &mgh::penalty_1::PENALTY_1,
    &perm::PERM,
    &power::POWER,
    &qing::QING,
    &salomon::SALOMON,
    &schmidt_vetters::SCHMIDT_VETTERS,
    &sinquad::SINQUAD,
    &sum_squares::SUM_SQUARES,
    &toint_gaussian::TOINT_GAUSSIAN,
    &tquartic::TQUARTIC,
    &trid::TRID,
    &tridia::TRIDIA,
    &mgh::trigonometric::TRIGONOMETRIC,
    &mgh::variably_dimensioned::VARIABLY_DIMENSIONED,
    &white_holst::WHITE_HOLST,
    &zakharov::ZAKHAROV,
];
