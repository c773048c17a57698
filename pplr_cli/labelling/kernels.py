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
def expand(ranks, half, first, end):  # type: ignore[no-untyped-def]
    """Return the sizes and the sorted members of E(i) for the rows first to end."""
    full = ranks.shape[1]
    in_full = np.full(len(ranks), -1, np.int32)
    in_expanded = np.full(len(ranks), -1, np.int32)
    own, other = np.empty(full, np.int32), np.empty(half, np.int32)
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
            other_size = reciprocal(ranks, candidate, half, other)
            shared = 0
            for j in other[:other_size]:
                shared += in_full[j] == i
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
