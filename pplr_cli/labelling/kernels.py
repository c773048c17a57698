"""Compiled loops over blocks of rows of the k-reciprocal Jaccard distance.

Each kernel handles the rows first to end, has its own scratch arrays of N entries and frees the
interpreter lock, so that blocks run on threads; `jaccard.py` says what they compute.
"""

import numba
import numpy as np

kernel = numba.njit(nogil=True, cache=True)


@kernel
def grow(array, size):  # type: ignore[no-untyped-def]
    """Return `array`, enlarged by half again if it holds fewer than `size` entries."""
    if size <= len(array):
        return array
    larger = np.empty(max(size, len(array) + len(array) // 2), array.dtype)
    larger[: len(array)] = array
    return larger


@kernel
def reciprocal(ranks, i, columns, out):  # type: ignore[no-untyped-def]
    """Write R(i, columns) to `out` and return its size."""
    size = 0
    for j in ranks[i, :columns]:
        for back in ranks[j, :columns]:
            if back == i:
                out[size] = j
                size += 1
                break
    return size


@kernel
def mutual(ranks, columns, first, end):  # type: ignore[no-untyped-def]
    """Return R(i, columns) for the rows first to end, -1 after its last member."""
    found = np.full((end - first, columns), -1, np.int32)
    for i in range(first, end):
        reciprocal(ranks, i, columns, found[i - first])
    return found


@kernel
def expand(ranks, halves, first, end):  # type: ignore[no-untyped-def]
    """Return the sizes and the sorted members of E(i) for the rows first to end.

    Takes R(i, half) of all rows, as `mutual` returns it.
    """
    full, half = ranks.shape[1], halves.shape[1]
    in_full = np.full(len(ranks), -1, np.int32)
    in_expanded = np.full(len(ranks), -1, np.int32)
    own = np.empty(full, np.int32)
    lengths = np.empty(end - first, np.int64)
    members = np.empty((end - first) * 2 * full, np.int32)
    total = 0
    for i in range(first, end):
        start = total
        size = reciprocal(ranks, i, full, own)
        members = grow(members, total + size + size * half)
        for j in own[:size]:
            in_full[j] = in_expanded[j] = i
            members[total] = j
            total += 1
        for candidate in own[:size]:
            other = halves[candidate]
            shared = other_size = 0
            while other_size < half and other[other_size] >= 0:
                shared += in_full[other[other_size]] == i
                other_size += 1
            if shared > 2 / 3 * other_size:
                for j in other[:other_size]:
                    if in_expanded[j] != i:
                        in_expanded[j] = i
                        members[total] = j
                        total += 1
        members[start:total].sort()
        lengths[i - first] = total - start
    return lengths, members[:total].copy()


@numba.njit(nogil=True, cache=True, fastmath=True)
def dot(a, b):  # type: ignore[no-untyped-def]
    """Return <a, b>; the order of this sum alone is left to the compiler."""
    total = np.float32(0)
    for c in range(len(a)):
        total += a[c] * b[c]
    return total


@kernel
def softmax(features, indices, indptr, first, end):  # type: ignore[no-untyped-def]
    """Return the softmax of -(2 - 2 <f_i, f_j>) over the members of the rows first to end."""
    offset = indptr[first]
    out = np.empty(indptr[end] - offset, np.float32)
    for i in range(first, end):
        row = out[indptr[i] - offset : indptr[i + 1] - offset]
        highest = np.float32(-np.inf)
        for t in range(len(row)):
            product = dot(features[i], features[indices[indptr[i] + t]])
            row[t] = np.float32(2) * product - np.float32(2)
            highest = max(highest, row[t])
        total = np.float32(0)
        for t in range(len(row)):
            row[t] = np.exp(row[t] - highest)
            total += row[t]
        for t in range(len(row)):
            row[t] /= total
    return out


@kernel
def average(data, indices, indptr, ranks, first, end):  # type: ignore[no-untyped-def]
    """Return (row lengths, indices, data) of the averaged rows first to end."""
    k2 = ranks.shape[1]
    sums = np.zeros(len(ranks), np.float32)
    touched = np.empty(len(ranks), np.int32)
    lengths = np.empty(end - first, np.int64)
    out_indices, out_data = np.empty(0, np.int32), np.empty(0, np.float32)
    total = 0
    for i in range(first, end):
        size = 0
        for r in ranks[i]:
            for t in range(indptr[r], indptr[r + 1]):
                c = indices[t]
                if sums[c] == 0:
                    touched[size] = c
                    size += 1
                sums[c] += data[t]
        row = np.sort(touched[:size])
        out_indices, out_data = grow(out_indices, total + size), grow(out_data, total + size)
        for c in row:
            out_indices[total], out_data[total] = c, sums[c] / np.float32(k2)
            sums[c] = 0
            total += 1
        lengths[i - first] = size
    return lengths, out_indices[:total].copy(), out_data[:total].copy()


@kernel
def distances(by_row, by_column, n, limit, first, end):  # type: ignore[no-untyped-def]
    """Return (row lengths, indices, data) of the distances up to `limit`, rows first to end."""
    data, indices, indptr = by_row
    column_data, column_indices, column_indptr = by_column
    overlap = np.zeros(n, np.float32)
    touched = np.empty(n, np.int32)
    lengths = np.empty(end - first, np.int64)
    out_indices, out_data = np.empty(0, np.int32), np.empty(0, np.float32)
    total = 0
    for i in range(first, end):
        size = 0
        for t in range(indptr[i], indptr[i + 1]):
            c, value = indices[t], data[t]
            for s in range(column_indptr[c], column_indptr[c + 1]):
                j = column_indices[s]
                if overlap[j] == 0:
                    touched[size] = j
                    size += 1
                overlap[j] += min(value, column_data[s])
        start = total
        out_indices, out_data = grow(out_indices, total + size), grow(out_data, total + size)
        for t in range(size):
            j = touched[t]
            m = overlap[j]
            overlap[j] = 0
            d = max(np.float32(1) - m / (np.float32(2) - m), np.float32(0))
            if d <= limit:
                out_indices[total] = j
                out_data[total] = d
                total += 1
        order = np.argsort(out_indices[start:total])
        out_indices[start:total] = out_indices[start:total][order]
        out_data[start:total] = out_data[start:total][order]
        lengths[i - first] = total - start
    return lengths, out_indices[:total].copy(), out_data[:total].copy()


@kernel
def suffixes(encoding, commonness, least, first, end):  # type: ignore[no-untyped-def]
    """Return which entries of the rows first to end weigh `least` with those of commoner columns.

    `commonness` orders all columns, each at a place of its own.
    """
    data, indices, indptr = encoding
    kept = np.empty(indptr[end] - indptr[first], np.bool_)
    for i in range(first, end):
        start = indptr[i]
        total = np.float32(0)
        for place in np.argsort(-commonness[indices[start : indptr[i + 1]]]):
            total += data[start + place]
            kept[start - indptr[first] + place] = total >= least
    return kept


@kernel
def partners(i, encoding, kept, by_column, least, overlap, touched):  # type: ignore[no-untyped-def]
    """Write the rows that share `least` with row i in kept entries to `touched`; return how many.

    `overlap` [N] is scratch memory, of zeros before and after.
    """
    data, indices, indptr = encoding
    column_data, column_indices, column_indptr = by_column
    size = near = 0
    for t in range(indptr[i], indptr[i + 1]):
        if kept[t]:
            for s in range(column_indptr[indices[t]], column_indptr[indices[t] + 1]):
                j = column_indices[s]
                if overlap[j] == 0:
                    touched[size] = j
                    size += 1
                overlap[j] += min(data[t], column_data[s])
    for j in touched[:size]:
        if overlap[j] >= least:
            touched[near] = j
            near += 1
        overlap[j] = 0
    return near


@kernel
def near_distances(encoding, kept, by_column, n, limit, least, first, end):  # type: ignore[no-untyped-def]
    """Return (row lengths, indices, data) of the distances up to `limit`, rows first to end.

    Only pairs that share at least `least` in the kept entries are compared in full.
    """
    data, indices, indptr = encoding
    row, overlap = np.zeros(n, np.float32), np.zeros(n, np.float32)
    touched = np.empty(n, np.int32)
    lengths = np.empty(end - first, np.int64)
    out_indices, out_data = np.empty(0, np.int32), np.empty(0, np.float32)
    total = 0
    for i in range(first, end):
        near, start = partners(i, encoding, kept, by_column, least, overlap, touched), total
        out_indices, out_data = grow(out_indices, total + near), grow(out_data, total + near)
        own = indices[indptr[i] : indptr[i + 1]]
        row[own] = data[indptr[i] : indptr[i + 1]]
        for j in np.sort(touched[:near]):
            m = np.float32(0)
            for s in range(indptr[j], indptr[j + 1]):  # adding 0 where i has no entry
                m += min(row[indices[s]], data[s])
            d = max(np.float32(1) - m / (np.float32(2) - m), np.float32(0))
            if d <= limit:
                out_indices[total] = j
                out_data[total] = d
                total += 1
        row[own] = 0
        lengths[i - first] = total - start
    return lengths, out_indices[:total].copy(), out_data[:total].copy()
