// Small matrices as flat arrays, row after row.

/** Inner products of the n rows of d numbers, n × n. */
export function gram(rows, n, d) {
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0; k < d; k++) sum += rows[i * d + k] * rows[j * d + k];
      out[i * n + j] = out[j * n + i] = sum;
    }
  }
  return out;
}

/** The order in which tokens that lie most nearly opposite stand side by side: the most opposite pair first found, pairs by their first token. */
export function partners(products, n) {
  const cosine = (i, j) => products[i * n + j] / (Math.sqrt(products[i * n + i] * products[j * n + j]) || 1);
  const pairs = [];
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) pairs.push([cosine(i, j), i, j]);
  pairs.sort((a, b) => a[0] - b[0]);
  const taken = new Set();
  const groups = [];
  for (const [, i, j] of pairs) {
    if (taken.has(i) || taken.has(j)) continue;
    taken.add(i).add(j);
    groups.push([i, j]);
  }
  for (let i = 0; i < n; i++) if (!taken.has(i)) groups.push([i]);
  return groups.sort((a, b) => a[0] - b[0]).flat();
}

/** The plane in which the rows have most of their squared lengths, followed from frame to frame: a few steps of orthogonal iteration from where
 * it was, so that it turns and never jumps, even where two planes are as good. */
export class BestPlane {
  follow(rows, n, d, steps) {
    if (this.basis?.[0].length !== d) this.basis = [0, 1].map(axis => Float64Array.from({ length: d }, (_, k) => Math.cos(1 + 2.1 * k + 1.3 * axis)));
    for (let step = 0; step < steps; step++) {
      this.basis = this.basis.map(axis => {
        const next = new Float64Array(d);
        for (let i = 0; i < n; i++) {
          let along = 0;
          for (let k = 0; k < d; k++) along += rows[i * d + k] * axis[k];
          for (let k = 0; k < d; k++) next[k] += along * rows[i * d + k];
        }
        return next;
      });
      const [first, second] = this.basis;
      scale(first, 1 / (norm(first) || 1));
      const along = dot(first, second);
      for (let k = 0; k < d; k++) second[k] -= along * first[k];
      scale(second, 1 / (norm(second) || 1));
    }
    return this.basis;
  }
}

const dot = (a, b) => a.reduce((sum, x, k) => sum + x * b[k], 0);
const norm = a => Math.sqrt(dot(a, a));
const scale = (a, factor) => a.forEach((x, k) => { a[k] = factor * x; });

/** The corners of the convex hull of points in the plane, in order. */
export function hull2(points) {
  const order = points.map((_, k) => k).sort((a, b) => points[a][0] - points[b][0] || points[a][1] - points[b][1]);
  const turn = (a, b, c) => (points[b][0] - points[a][0]) * (points[c][1] - points[a][1]) - (points[b][1] - points[a][1]) * (points[c][0] - points[a][0]);
  const half = list => {
    const chain = [];
    for (const k of list) {
      while (chain.length > 1 && turn(chain.at(-2), chain.at(-1), k) <= 0) chain.pop();
      chain.push(k);
    }
    return chain.slice(0, -1);
  };
  return [...half(order), ...half(order.reverse())];
}

/** The edges of the convex hull of points in space, as pairs of their places. Every face is tried: there are few points. */
export function hull3(points) {
  const n = points.length;
  const faces = new Map(); // an edge, and the normals of the triangles of the surface that have it
  for (let a = 0; a < n; a++) for (let b = a + 1; b < n; b++) for (let c = b + 1; c < n; c++) {
    const normal = cross(minus(points[b], points[a]), minus(points[c], points[a]));
    const length = norm(normal);
    if (length < 1e-12) continue;
    scale(normal, 1 / length);
    let above = 0, below = 0;
    for (let k = 0; k < n && !(above && below); k++) {
      const height = dot(normal, minus(points[k], points[a]));
      if (height > 1e-7) above++;
      if (height < -1e-7) below++;
    }
    if (above && below) continue;
    for (const edge of [[a, b], [b, c], [a, c]]) {
      const name = edge.join();
      faces.set(name, [...(faces.get(name) ?? []), above ? normal.map(x => -x) : normal]);
    }
  }
  // an edge inside a flat face is none
  const bends = normals => normals.some(other => dot(normals[0], other) < 1 - 1e-6);
  return [...faces].filter(([, normals]) => bends(normals)).map(([name]) => name.split(",").map(Number));
}

const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
