// The kernels for elements of type T, with arithmetic of type R; kernels.cu includes this once for
// each type.

// Activations: ReLU, GELU by the hyperbolic tangent, GELU by the error function, the hyperbolic
// tangent.

KERNEL(activate)(const T *input, unsigned count, unsigned kind, T *output) {
    FOR_EACH(i, count) {
        const R x = R(input[i]);
        output[i] = T(kind == 0 ? rectified(x) : Smooth<R>::of(kind, x).value);
    }
}

// The gradient times the derivative at each element.
KERNEL(activate_gradient)(
    const T *input, const T *gradient, unsigned count, unsigned kind, T *result
) {
    FOR_EACH(i, count) {
        const R x = R(input[i]), g = R(gradient[i]);
        result[i] = T(kind == 0 ? (x <= R(0) ? R(0) : g) : g * Smooth<R>::of(kind, x).derivative);
    }
}

// Dropout.
KERNEL(drop_out)(DropoutMask mask, unsigned count, T *values) {
    const R keep = R(mask.keep);
    FOR_EACH(block, (count + CHACHA_WORDS - 1) / CHACHA_WORDS) {
        unsigned words[CHACHA_WORDS];
        chacha8(mask, block, words);
        for (unsigned k = 0; k < CHACHA_WORDS; ++k) {
            const unsigned i = block * CHACHA_WORDS + k;
            if (i < count) values[i] = T(R(values[i]) * (words[k] < mask.threshold ? R(0) : keep));
        }
    }
}

// Biases, and sums over the rows of a matrix: first of pieces of rows, by a block for THREADS
// columns.

// Adds the bias of channel (i / plane) % channels to each value.
KERNEL(add_bias)(const T *bias, unsigned count, unsigned plane, unsigned channels, T *values) {
    FOR_EACH(i, count) values[i] = T(R(values[i]) + R(bias[i / plane % channels]));
}

// Block (x, y): columns x, rows of piece y.
KERNEL(column_sums)(
    const T *values, unsigned rows, unsigned width, unsigned piece, R *partials
) {
    const unsigned column = blockIdx.x * THREADS + threadIdx.x;
    if (column >= width) return;
    const unsigned first = blockIdx.y * piece, end = min(first + piece, rows);
    R sum = 0;
    for (unsigned row = first; row < end; ++row) sum += R(values[row * width + column]);
    partials[blockIdx.y * width + column] = sum;
}

KERNEL(column_totals)(const R *partials, unsigned pieces, unsigned width, T *out) {
    FOR_EACH(column, width) {
        f64 sum = 0;
        for (unsigned piece = 0; piece < pieces; ++piece) sum += f64(partials[piece * width + column]);
        out[column] = T(R(sum));
    }
}

// Layer normalisation, a block for each row.

KERNEL(layer_norm)(
    const T *input, const T *weight, const T *bias, unsigned width, f64 epsilon, T *output
) {
    input += blockIdx.x * width, output += blockIdx.x * width;
    const auto moments = RowMoments<R>::of(input, width, epsilon);
    for (unsigned i = threadIdx.x; i < width; i += THREADS)
        output[i] = T((R(input[i]) - moments.mean) * moments.scale * R(weight[i]) + R(bias[i]));
}

// With x^ the normalised row and h = gradient * weight: (h - mean(h) - x^ mean(h x^)) * scale.
KERNEL(layer_norm_gradient)(
    const T *input, const T *weight, const T *gradient, unsigned width, f64 epsilon, R *kept, T *result
) {
    input += blockIdx.x * width, gradient += blockIdx.x * width, result += blockIdx.x * width;
    const auto [mean, scale] = RowMoments<R>::of(input, width, epsilon);
    R sum = 0, projection = 0;
    for (unsigned i = threadIdx.x; i < width; i += THREADS) {
        const R h = R(gradient[i]) * R(weight[i]);
        sum += h;
        projection += h * (R(input[i]) - mean);
    }
    const R along_mean = block_sum(sum) / R(width);
    const R along_row = block_sum(projection) * scale / R(width);
    for (unsigned i = threadIdx.x; i < width; i += THREADS) {
        const R h = R(gradient[i]) * R(weight[i]);
        result[i] = T((h - along_mean - (R(input[i]) - mean) * scale * along_row) * scale);
    }
    if (threadIdx.x == 0) {
        kept[2 * blockIdx.x] = mean;
        kept[2 * blockIdx.x + 1] = scale;
    }
}

// The gradients of weight and bias, as column_sums, those of the biases behind those of the
// weights.
KERNEL(layer_norm_sums)(
    const T *input, const T *gradient, const R *kept, unsigned rows, unsigned width, unsigned piece,
    R *partials
) {
    const unsigned column = blockIdx.x * THREADS + threadIdx.x;
    if (column >= width) return;
    const unsigned first = blockIdx.y * piece, end = min(first + piece, rows);
    R weights = 0, biases = 0;
    for (unsigned row = first; row < end; ++row) {
        const R g = R(gradient[row * width + column]);
        weights += g * (R(input[row * width + column]) - kept[2 * row]) * kept[2 * row + 1];
        biases += g;
    }
    partials[blockIdx.y * width + column] = weights;
    partials[(gridDim.y + blockIdx.y) * width + column] = biases;
}

// Attention: rows of scores, of which row q sees q + 1; a block for each row.

// Replaces scores by probabilities, those of hidden positions by zero.
KERNEL(causal_softmax)(unsigned time, f64 scale_, T *scores) {
    const R scale = R(scale_);
    scores += blockIdx.x * time;
    const unsigned seen = blockIdx.x % time + 1;
    R most = -INFINITY;
    for (unsigned i = threadIdx.x; i < seen; i += THREADS) most = larger(most, R(scores[i]));
    most = block_max(most) * scale;
    R sum = 0;
    for (unsigned i = threadIdx.x; i < seen; i += THREADS) sum += exp(R(scores[i]) * scale - most);
    const R reciprocal = R(1) / block_sum(sum);
    for (unsigned i = threadIdx.x; i < time; i += THREADS)
        scores[i] = T(i < seen ? exp(R(scores[i]) * scale - most) * reciprocal : R(0));
}

// Replaces the gradient of the probabilities by that of the scores.
KERNEL(causal_softmax_gradient)(const T *probabilities, unsigned time, f64 scale, T *gradient) {
    probabilities += blockIdx.x * time, gradient += blockIdx.x * time;
    R sum = 0;
    for (unsigned i = threadIdx.x; i < time; i += THREADS) sum += R(probabilities[i]) * R(gradient[i]);
    const R mean = block_sum(sum);
    for (unsigned i = threadIdx.x; i < time; i += THREADS)
        gradient[i] = T(R(scale) * R(probabilities[i]) * (R(gradient[i]) - mean));
}

// Cross-entropy, a block for each row of logits.

KERNEL(cross_entropy)(
    const T *logits, const unsigned *targets, unsigned classes, f64 smoothing, f64 *losses
) {
    const unsigned target = targets[blockIdx.x];
    logits += blockIdx.x * classes;
    f64 loss = 0;
    if (target != LEFT_OUT) {
        loss = f64(log_sum<R>(logits, classes)) - (1 - smoothing) * f64(R(logits[target]));
        if (smoothing > 0) {
            R sum = 0;
            for (unsigned i = threadIdx.x; i < classes; i += THREADS) sum += R(logits[i]);
            loss -= smoothing * f64(block_sum(sum)) / classes;
        }
    }
    if (threadIdx.x == 0) losses[blockIdx.x] = loss;
}

// The mean of the losses of those rows that count, by one block.
KERNEL(mean_loss)(const f64 *losses, unsigned rows, f64 counted, R *out) {
    f64 sum = 0;
    for (unsigned row = threadIdx.x; row < rows; row += THREADS) sum += losses[row];
    sum = block_sum(sum);
    if (threadIdx.x == 0) out[0] = R(sum / counted);
}

// Replaces the logits by the gradient with respect to them.
KERNEL(cross_entropy_gradient)(
    const unsigned *targets, const R *gradient, unsigned classes, f64 smoothing, f64 counted, T *logits
) {
    const unsigned target = targets[blockIdx.x];
    const R scale = R(f64(gradient[0]) / counted), spread = R(smoothing / classes), peak = R(1 - smoothing);
    logits += blockIdx.x * classes;
    if (target == LEFT_OUT) {
        for (unsigned i = threadIdx.x; i < classes; i += THREADS) logits[i] = T(R(0));
        return;
    }
    const R sum = log_sum<R>(logits, classes);
    for (unsigned i = threadIdx.x; i < classes; i += THREADS) {
        const R share = exp(R(logits[i]) - sum) - spread;
        logits[i] = T((i == target ? share - peak : share) * scale);
    }
}

// Rows of a table.

KERNEL(look_up)(const T *table, const unsigned *ids, unsigned width, unsigned count, T *output) {
    FOR_EACH(i, count) output[i] = table[ids[i / width] * width + i % width];
}

// Block b adds up the gradients of all positions that looked up row rows[b]: positions[starts[b]]
// to positions[starts[b + 1] - 1]. The other rows of the result are zero already.
KERNEL(look_up_gradient)(
    const T *gradient, const unsigned *rows, const unsigned *starts, const unsigned *positions, unsigned width,
    T *result
) {
    for (unsigned column = threadIdx.x; column < width; column += THREADS) {
        R sum = 0;
        for (unsigned i = starts[blockIdx.x]; i < starts[blockIdx.x + 1]; ++i)
            sum += R(gradient[positions[i] * width + column]);
        result[rows[blockIdx.x] * width + column] = T(sum);
    }
}

// Moments of the channels of images, [images, channels, plane].

// The sums of a channel's distances from its first value, and of their squares, from which the
// moments follow without cancellation unless that value is far out (Chan, Golub and LeVeque 1983,
// shifted data); without a shift, the sums of the values themselves.
KERNEL(channel_sums)(
    const T *values, unsigned images, unsigned channels, unsigned plane, unsigned shifted, f64 *partials
) {
    const R first = shifted ? R(values[blockIdx.x * plane]) : R(0);
    R sum = 0, squares = 0;
    FOR_EACH_PIXEL(i, images, channels, plane) {
        const R distance = R(values[i]) - first;
        sum += distance;
        squares += distance * distance;
    }
    leave_sums(f64(sum), f64(squares), partials);
}

// Writes the means, then the biased variances.
KERNEL(channel_moments)(
    const T *values, const f64 *partials, unsigned pieces, unsigned channels, unsigned plane, f64 count, f64 *moments
) {
    FOR_EACH(channel, channels) {
        const f64 shift = channel_total(partials, channel, pieces, 0) / count;
        const f64 squares = channel_total(partials, channel, pieces, 1) / count;
        moments[channel] = f64(R(values[channel * plane])) + shift;
        moments[channels + channel] = fmax(squares - shift * shift, 0.0);
    }
}

// The sums of the channels' values.
KERNEL(channel_totals)(const f64 *partials, unsigned pieces, unsigned channels, T *out) {
    FOR_EACH(channel, channels) out[channel] = T(R(channel_total(partials, channel, pieces, 0)));
}

// Batch normalisation as y = relu(scale * x + shift + shortcut), where ReLU and shortcut may be
// missing.

// Writes the scales, then the shifts.
KERNEL(channel_scales)(
    const f64 *moments, const T *weight, const T *bias, f64 epsilon, unsigned channels, R *scales
) {
    FOR_EACH(channel, channels) {
        const f64 scale = f64(R(weight[channel])) / sqrt(moments[channels + channel] + epsilon);
        scales[channel] = R(scale);
        scales[channels + channel] = R(f64(R(bias[channel])) - moments[channel] * scale);
    }
}

KERNEL(normalize)(
    const T *values, const R *scales, const T *shortcut, unsigned count, unsigned channels, unsigned plane,
    unsigned relu, T *output
) {
    FOR_EACH(i, count) {
        const unsigned channel = i / plane % channels;
        R y = R(values[i]) * scales[channel] + scales[channels + channel];
        if (shortcut) y += R(shortcut[i]);
        output[i] = T(relu ? rectified(y) : y);
    }
}

// The sums of the gradient behind ReLU, g, and of g * (x - mean). Where there is a shortcut,
// `masked` gets g.
KERNEL(normalize_sums)(
    const T *values, const T *output, const T *gradient, const f64 *moments, unsigned images, unsigned channels,
    unsigned plane, unsigned relu, T *masked, f64 *partials
) {
    const R mean = R(moments[blockIdx.x]);
    R sum = 0, centred = 0;
    FOR_EACH_PIXEL(i, images, channels, plane) {
        const R g = behind(relu, R(gradient[i]), R(output[i]));
        if (masked) masked[i] = T(g);
        sum += g;
        centred += g * (R(values[i]) - mean);
    }
    leave_sums(f64(sum), f64(centred), partials);
}

// The gradients of weight and bias, and of each channel what normalize_gradient takes: scale,
// slope, shift, mean.
KERNEL(channel_gradients)(
    const f64 *partials, const f64 *moments, const T *weight, unsigned pieces, unsigned channels, f64 count,
    f64 epsilon, unsigned own_statistics, R *coefficients, T *weight_gradient, T *bias_gradient
) {
    FOR_EACH(channel, channels) {
        const f64 sum = channel_total(partials, channel, pieces, 0);
        const f64 centred = channel_total(partials, channel, pieces, 1);
        const f64 inverse = 1 / sqrt(moments[channels + channel] + epsilon);
        const f64 scale = f64(R(weight[channel])) * inverse;
        // Only the batch's own statistics depend on the values.
        const f64 through = own_statistics ? scale / count : 0;
        weight_gradient[channel] = T(R(centred * inverse));
        bias_gradient[channel] = T(R(sum));
        coefficients[4 * channel] = R(scale);
        coefficients[4 * channel + 1] = R(-through * inverse * inverse * centred);
        coefficients[4 * channel + 2] = R(-through * sum);
        coefficients[4 * channel + 3] = R(moments[channel]);
    }
}

KERNEL(normalize_gradient)(
    const T *values, const T *output, const T *gradient, const R *coefficients, unsigned count,
    unsigned channels, unsigned plane, unsigned relu, T *result
) {
    FOR_EACH(i, count) {
        const R *c = coefficients + 4 * (i / plane % channels);
        const R g = behind(relu, R(gradient[i]), R(output[i]));
        result[i] = T(c[0] * g + (c[1] * (R(values[i]) - c[3]) + c[2]));
    }
}

// Pooling of planes of height * width. Windows are given per axis: first pixel, one past the last,
// divisor.

KERNEL(pool)(
    const T *input, const unsigned *rows, const unsigned *columns, unsigned height, unsigned width,
    unsigned out_height, unsigned out_width, unsigned count, unsigned maximum, T *output
) {
    FOR_EACH(i, count) {
        const T *plane = input + i / (out_height * out_width) * (height * width);
        const unsigned *row = rows + 3 * (i / out_width % out_height), *column = columns + 3 * (i % out_width);
        if (maximum) {
            output[i] = plane[largest_pixel(plane, width, row, column)];
            continue;
        }
        R sum = 0;
        for (unsigned y = row[0]; y < row[1]; ++y)
            for (unsigned x = column[0]; x < column[1]; ++x) sum += R(plane[y * width + x]);
        output[i] = T(sum * R(1.0 / (row[2] * column[2])));
    }
}

// `row_windows` and `column_windows` hold, for each pixel of an axis, the first window over it and
// one past the last.
KERNEL(pool_gradient)(
    const T *input, const T *gradient, const unsigned *rows, const unsigned *columns, const unsigned *row_windows,
    const unsigned *column_windows, unsigned height, unsigned width, unsigned out_height, unsigned out_width,
    unsigned count, unsigned maximum, T *result
) {
    FOR_EACH(i, count) {
        const unsigned plane = i / (height * width), pixel = i % (height * width);
        const unsigned *over_row = row_windows + 2 * (pixel / width);
        const unsigned *over_column = column_windows + 2 * (pixel % width);
        const T *pixels = input + plane * (height * width);
        const T *gradients = gradient + plane * (out_height * out_width);
        R sum = 0;
        for (unsigned y = over_row[0]; y < over_row[1]; ++y) {
            for (unsigned x = over_column[0]; x < over_column[1]; ++x) {
                const unsigned *row = rows + 3 * y, *column = columns + 3 * x;
                const R g = R(gradients[y * out_width + x]);
                if (maximum)
                    sum += largest_pixel(pixels, width, row, column) == pixel ? g : R(0);
                else
                    sum += g * R(1.0 / (row[2] * column[2]));
            }
        }
        result[i] = T(sum);
    }
}
