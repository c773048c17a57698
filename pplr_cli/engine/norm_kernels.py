"""The Triton kernels of `fused_norm`: three forward, three backward.

A batch in channels-last memory is a matrix of B x H x W rows and C columns; replica r owns the
rows r M to (r + 1) M, M = B H W / R. Sums run over slices of those rows in a fixed order, so
that two runs give the same bits. Statistics are float32.
"""

# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl


@triton.jit
def forward_sums(
    batch, sums, squares, rows, columns, slices, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """Sum x - k and its square over the rows of a slice; k is the replica's first row."""
    replica, part = tl.program_id(0) // slices, tl.program_id(0) % slices
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = column < columns
    start = batch + replica.to(tl.int64) * rows * columns
    shift = tl.load(start + column, mask=inside, other=0.0).to(tl.float32)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    square = tl.zeros((ROWS, COLUMNS), tl.float32)
    for first in range(part * ROWS, rows, slices * ROWS):
        row = first + tl.arange(0, ROWS)
        mask = (row < rows)[:, None] & inside[None, :]
        place = row[:, None].to(tl.int64) * columns + column[None, :]
        value = tl.load(start + place, mask=mask, other=0.0).to(tl.float32) - shift[None, :]
        value = tl.where(mask, value, 0.0)
        total += value
        square += value * value
    out = tl.program_id(0) * columns + column
    tl.store(sums + out, tl.sum(total, 0), mask=inside)
    tl.store(squares + out, tl.sum(square, 0), mask=inside)


@triton.jit
def forward_finish(
    batch,
    sums,
    squares,
    mean,
    rstd,
    running_mean,
    running_var,
    tracked,
    rows,
    columns,
    slices,
    eps,
    momentum,
    COLUMNS: tl.constexpr,
):
    """Join the slices of a replica to its mean and 1 / std; replica 0 moves the running ones."""
    replica = tl.program_id(0)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = column < columns
    first = batch + replica.to(tl.int64) * rows * columns
    shift = tl.load(first + column, mask=inside, other=0.0).to(tl.float32)
    total = tl.zeros((COLUMNS,), tl.float32)
    square = tl.zeros((COLUMNS,), tl.float32)
    for part in range(slices):
        place = (replica * slices + part) * columns + column
        total += tl.load(sums + place, mask=inside, other=0.0)
        square += tl.load(squares + place, mask=inside, other=0.0)
    offset = total / rows
    variance = tl.maximum(square / rows - offset * offset, 0.0)
    centre = shift + offset
    tl.store(mean + replica * columns + column, centre, mask=inside)
    tl.store(rstd + replica * columns + column, 1 / tl.sqrt(variance + eps), mask=inside)
    if replica == 0:
        old = tl.load(running_mean + column, mask=inside, other=0.0)
        tl.store(running_mean + column, old + momentum * (centre - old), mask=inside)
        old = tl.load(running_var + column, mask=inside, other=0.0)
        unbiased = variance * (rows / (rows - 1))
        tl.store(running_var + column, old + momentum * (unbiased - old), mask=inside)
        if tl.program_id(1) == 0:
            tl.store(tracked, tl.load(tracked) + 1)


@triton.jit
def forward_apply(
    batch,
    output,
    mean,
    rstd,
    weight,
    bias,
    rows,
    columns,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Write (x - mean) / std * weight + bias."""
    tiles = tl.cdiv(rows, ROWS)
    replica, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    row = tile * ROWS + tl.arange(0, ROWS)
    inside = column < columns
    mask = (row < rows)[:, None] & inside[None, :]
    group = replica * columns + column
    centre = tl.load(mean + group, mask=inside, other=0.0)
    scale = tl.load(rstd + group, mask=inside, other=0.0)
    scale *= tl.load(weight + column, mask=inside, other=0.0)
    shift = tl.load(bias + column, mask=inside, other=0.0)
    place = (replica * rows + row)[:, None].to(tl.int64) * columns + column[None, :]
    value = tl.load(batch + place, mask=mask, other=0.0).to(tl.float32)
    value = (value - centre[None, :]) * scale[None, :] + shift[None, :]
    tl.store(output + place, value.to(output.dtype.element_ty), mask=mask)


@triton.jit
def backward_sums(
    batch,
    gradient,
    mean,
    rstd,
    sums,
    products,
    rows,
    columns,
    slices,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Sum the gradient and its product with the normalised batch over the rows of a slice."""
    replica, part = tl.program_id(0) // slices, tl.program_id(0) % slices
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = column < columns
    start = replica.to(tl.int64) * rows * columns
    centre = tl.load(mean + replica * columns + column, mask=inside, other=0.0)
    scale = tl.load(rstd + replica * columns + column, mask=inside, other=0.0)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    product = tl.zeros((ROWS, COLUMNS), tl.float32)
    for first in range(part * ROWS, rows, slices * ROWS):
        row = first + tl.arange(0, ROWS)
        mask = (row < rows)[:, None] & inside[None, :]
        place = start + row[:, None].to(tl.int64) * columns + column[None, :]
        value = tl.load(batch + place, mask=mask, other=0.0).to(tl.float32)
        slope = tl.load(gradient + place, mask=mask, other=0.0).to(tl.float32)
        total += slope
        product += slope * (value - centre[None, :]) * scale[None, :]
    out = tl.program_id(0) * columns + column
    tl.store(sums + out, tl.sum(total, 0), mask=inside)
    tl.store(products + out, tl.sum(product, 0), mask=inside)


@triton.jit
def backward_finish(
    sums,
    products,
    total,
    total_product,
    weight_gradient,
    bias_gradient,
    columns,
    slices,
    replicas,
    COLUMNS: tl.constexpr,
):
    """Join the slices: sums of each replica, and over all of them the parameters' gradients."""
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    inside = column < columns
    bias = tl.zeros((COLUMNS,), tl.float32)
    weight = tl.zeros((COLUMNS,), tl.float32)
    for replica in range(replicas):
        own = tl.zeros((COLUMNS,), tl.float32)
        product = tl.zeros((COLUMNS,), tl.float32)
        for part in range(slices):
            place = (replica * slices + part) * columns + column
            own += tl.load(sums + place, mask=inside, other=0.0)
            product += tl.load(products + place, mask=inside, other=0.0)
        tl.store(total + replica * columns + column, own, mask=inside)
        tl.store(total_product + replica * columns + column, product, mask=inside)
        bias += own
        weight += product
    tl.store(bias_gradient + column, bias, mask=inside)
    tl.store(weight_gradient + column, weight, mask=inside)


@triton.jit
def backward_apply(
    batch,
    gradient,
    own,
    mean,
    rstd,
    weight,
    total,
    total_product,
    rows,
    columns,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Write weight / std * (g - (sum g + x̂ sum g x̂) / M), x̂ the normalised batch."""
    tiles = tl.cdiv(rows, ROWS)
    replica, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    row = tile * ROWS + tl.arange(0, ROWS)
    inside = column < columns
    mask = (row < rows)[:, None] & inside[None, :]
    group = replica * columns + column
    centre = tl.load(mean + group, mask=inside, other=0.0)
    scale = tl.load(rstd + group, mask=inside, other=0.0)
    gain = scale * tl.load(weight + column, mask=inside, other=0.0)
    mean_slope = tl.load(total + group, mask=inside, other=0.0) / rows
    mean_product = tl.load(total_product + group, mask=inside, other=0.0) / rows
    place = (replica * rows + row)[:, None].to(tl.int64) * columns + column[None, :]
    value = tl.load(batch + place, mask=mask, other=0.0).to(tl.float32)
    slope = tl.load(gradient + place, mask=mask, other=0.0).to(tl.float32)
    normal = (value - centre[None, :]) * scale[None, :]
    slope -= mean_slope[None, :] + normal * mean_product[None, :]
    tl.store(own + place, (slope * gain[None, :]).to(own.dtype.element_ty), mask=mask)
