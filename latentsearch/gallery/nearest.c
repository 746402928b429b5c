/* The nearest of many points by a k-d tree whose leaves are compared by vector instructions: see native_tree.py.

   A tree has `leaves` leaves of LEAF points each, the last one of those that remain. Nodes are numbered in the order in
   which a descent to the left meets them: the left child of a node follows it, the right child follows all nodes of the
   left. Of L leaves below a node the first L / 2 are on the left.

   Points lie in leaves in single precision, dimension by dimension, which tells which may be near enough; what may is
   compared in double precision. A distance is a sum of squares, or of magnitudes where `l1` is true. */

#include <math.h>
#include <stdint.h>

#define LEAF 64
#define LANES 16
#define PARTS (LEAF / LANES)

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t marks __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int64_t pairs __attribute__((vector_size(4 * LANES), aligned(4)));

typedef struct {
  const double *points; /* [row][dim] */
  const float *blocks;  /* [leaf][dim][LEAF], not a number where there is no point */
  const double *boxes;  /* [node][lowest, highest][dim] */
  const int64_t *rows;  /* of the points in leaves */
  int64_t dim, leaves;
  int l1;
} tree;

/* --- building ---------------------------------------------------------------------------------------------------- */

typedef struct {
  const double *points;
  double *boxes, *keys;
  int64_t *rows, dim;
  uint64_t random;
} builder;

/* Reorders keys and their rows from `first` to before `end`, so that none before `middle` exceeds one from there on. */
static void split(builder *b, int64_t first, int64_t end, int64_t middle) {
  int64_t last = end - 1;
  while (first < last) {
    b->random = b->random * 6364136223846793005u + 1442695040888963407u;
    double pivot = b->keys[first + (int64_t)((b->random >> 33) % (uint64_t)(last - first + 1))];
    int64_t i = first, j = last;
    while (i <= j) {
      while (b->keys[i] < pivot) i++;
      while (b->keys[j] > pivot) j--;
      if (i <= j) {
        double key = b->keys[i];
        int64_t row = b->rows[i];
        b->keys[i] = b->keys[j], b->rows[i++] = b->rows[j];
        b->keys[j] = key, b->rows[j--] = row;
      }
    }
    if (middle <= j) last = j;
    else if (middle >= i) first = i;
    else return;
  }
}

static void build(builder *b, int64_t first, int64_t end, int64_t leaves, int64_t node) {
  double *lowest = b->boxes + node * 2 * b->dim, *highest = lowest + b->dim;
  for (int64_t d = 0; d < b->dim; d++) lowest[d] = INFINITY, highest[d] = -INFINITY;
  for (int64_t i = first; i < end; i++) {
    const double *point = b->points + b->rows[i] * b->dim;
    for (int64_t d = 0; d < b->dim; d++) {
      lowest[d] = point[d] < lowest[d] ? point[d] : lowest[d];
      highest[d] = point[d] > highest[d] ? point[d] : highest[d];
    }
  }
  if (leaves == 1) return;
  int64_t widest = 0, left = leaves / 2, middle = first + left * LEAF;
  for (int64_t d = 1; d < b->dim; d++)
    if (highest[d] - lowest[d] > highest[widest] - lowest[widest]) widest = d;
  for (int64_t i = first; i < end; i++) b->keys[i] = b->points[b->rows[i] * b->dim + widest];
  split(b, first, end, middle);
  build(b, first, middle, left, node + 1);
  build(b, middle, end, leaves - left, node + 2 * left);
}

/* Builds a tree of `count` points. `rows` holds their numbers, which are put in the order of leaves; `keys` has room
   for `count` numbers. */
void latentsearch_build(const double *points, float *blocks, double *boxes, int64_t *rows, double *keys, int64_t count,
                        int64_t dim, int64_t leaves) {
  builder b = {points, boxes, keys, rows, dim, 1};
  build(&b, 0, count, leaves, 0);
  for (int64_t i = 0; i < leaves * LEAF; i++)
    for (int64_t d = 0; d < dim; d++)
      blocks[(i / LEAF * dim + d) * LEAF + i % LEAF] = i < count ? (float)points[rows[i] * dim + d] : NAN;
}

/* --- searching --------------------------------------------------------------------------------------------------- */

typedef struct {
  const tree *t;
  const double *point;
  double norm;
  int64_t count, found; /* wanted, and found so far: a heap, the farthest on top */
  double *far;
  int64_t *rows;
  float limit; /* of what a leaf says of a point that may be among the nearest */
} query;

/* The distance that a point must fall short of. */
static double farthest(const query *q) { return q->found < q->count ? INFINITY : q->far[0]; }

/* What single precision makes of a distance of at most `farthest`: numbers of both points are rounded, differences,
   squares and sums too, and the smallest lose digits. */
static void set_limit(query *q) {
  const double single = 1.0 / (1 << 23), terms = (double)q->t->dim;
  double length = q->t->l1 ? farthest(q) : sqrt(farthest(q));
  length = length * (1 + 2 * single) + 2 * single * q->norm + terms * 1e-44;
  q->limit = (float)((q->t->l1 ? length : length * length) * (1 + (terms + 4) * single) + terms * 1e-37);
}

static void sink(query *q, int64_t place, int64_t size, double far, int64_t row) {
  for (int64_t child; (child = 2 * place + 1) < size; place = child) {
    if (child + 1 < size && q->far[child + 1] > q->far[child]) child++;
    if (q->far[child] <= far) break;
    q->far[place] = q->far[child], q->rows[place] = q->rows[child];
  }
  q->far[place] = far, q->rows[place] = row;
}

static void add(query *q, double far, int64_t row) {
  if (q->found == q->count) sink(q, 0, q->count, far, row);
  else {
    int64_t place = q->found++;
    for (; place > 0 && q->far[(place - 1) / 2] < far; place = (place - 1) / 2)
      q->far[place] = q->far[(place - 1) / 2], q->rows[place] = q->rows[(place - 1) / 2];
    q->far[place] = far, q->rows[place] = row;
  }
  if (q->found == q->count) set_limit(q);
}

static double distance(const query *q, int64_t row) {
  const double *point = q->t->points + row * q->t->dim;
  double sum = 0;
  for (int64_t d = 0; d < q->t->dim; d++) {
    double difference = point[d] - q->point[d];
    sum += q->t->l1 ? fabs(difference) : difference * difference;
  }
  return sum;
}

static void scan(query *q, int64_t leaf) {
  const tree *t = q->t;
  const lanes *values = (const lanes *)(t->blocks + leaf * t->dim * LEAF);
  const marks magnitude = (marks){0} + INT32_MAX;
  lanes sums[PARTS] = {{0}};
  for (int64_t d = 0; d < t->dim; d++, values += PARTS) {
    float at = (float)q->point[d];
    for (int part = 0; part < PARTS; part++) {
      lanes difference = values[part] - at;
      sums[part] += t->l1 ? (lanes)((marks)difference & magnitude) : difference * difference;
    }
  }
  marks near = sums[0] <= q->limit;
  for (int part = 1; part < PARTS; part++) near |= sums[part] <= q->limit;
  pairs two = (pairs)near;
  int64_t any = 0;
  for (int lane = 0; lane < LANES / 2; lane++) any |= two[lane];
  if (!any) return;
  for (int part = 0; part < PARTS; part++)
    for (int lane = 0; lane < LANES; lane++)
      if (sums[part][lane] <= q->limit) {
        int64_t row = t->rows[leaf * LEAF + part * LANES + lane];
        double far = distance(q, row);
        if (far < farthest(q)) add(q, far, row);
      }
}

/* The distance of the nearest point that a box may hold. */
static double box(const query *q, int64_t node) {
  const tree *t = q->t;
  const double *lowest = t->boxes + node * 2 * t->dim, *highest = lowest + t->dim;
  double sum = 0;
  for (int64_t d = 0; d < t->dim; d++) {
    double below = lowest[d] - q->point[d], above = q->point[d] - highest[d];
    double gap = below > above ? below : above;
    gap = gap > 0 ? gap : 0;
    sum += t->l1 ? gap : gap * gap;
  }
  return sum;
}

static void descend(query *q, int64_t node, int64_t leaf, int64_t leaves) {
  if (leaves == 1) {
    scan(q, leaf);
    return;
  }
  int64_t left = leaves / 2;
  double to_left = box(q, node + 1), to_right = box(q, node + 2 * left);
  if (to_left <= to_right && to_left < farthest(q)) descend(q, node + 1, leaf, left);
  if (to_right < farthest(q)) descend(q, node + 2 * left, leaf + left, leaves - left);
  if (to_left > to_right && to_left < farthest(q)) descend(q, node + 1, leaf, left);
}

/* Finds the `count` nearest points of each query, nearest first: their rows and distances. */
void latentsearch_search(const double *points, const float *blocks, const double *boxes, const int64_t *rows,
                         int64_t dim, int64_t leaves, int l1, const double *queries, int64_t num_queries,
                         int64_t count, int64_t *found_rows, double *found_far) {
  tree t = {points, blocks, boxes, rows, dim, leaves, l1};
  for (int64_t i = 0; i < num_queries; i++) {
    query q = {&t, queries + i * dim, 0, count, 0, found_far + i * count, found_rows + i * count, INFINITY};
    for (int64_t d = 0; d < dim; d++) q.norm += l1 ? fabs(q.point[d]) : q.point[d] * q.point[d];
    if (!l1) q.norm = sqrt(q.norm);
    descend(&q, 0, 0, leaves);
    for (int64_t size = q.found - 1; size > 0; size--) { /* the farthest to the end, again and again */
      double far = q.far[size];
      int64_t row = q.rows[size];
      q.far[size] = q.far[0], q.rows[size] = q.rows[0];
      sink(&q, 0, size, far, row);
    }
  }
}
