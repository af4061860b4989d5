/* What make.py asks of Darknet's library, as functions that take and give plain numbers. */

#include <darknet.h>

/* Exported by the library; its header leaves them out. */
char *get_layer_string(LAYER_TYPE type);
void place_image(image picture, int w, int h, int dx, int dy, image canvas);
void distort_image(image picture, float hue, float saturation, float exposure);
void flip_image(image picture);
image rotate_crop_image(image picture, float rad, float scale, int w, int h, float dx, float dy, float aspect);

network *network_open(char *cfg, char *weights, long seen) {
    network *net = load_network(cfg, weights, 0);
    *net->seen = seen;
    return net;
}

int network_layers(network *net) { return net->n; }
float network_rate(network *net) { return get_current_rate(net); }

/* The layer's type; shape becomes its channels, rows, columns and how many numbers the whole batch gives. */
const char *layer_info(network *net, int i, int *shape) {
    layer l = net->layers[i];
    shape[0] = l.out_c, shape[1] = l.out_h, shape[2] = l.out_w, shape[3] = l.outputs;
    return get_layer_string(l.type);
}

float *layer_output(network *net, int i) { return net->layers[i].output; }

/* "weights", "biases" or "scales" of a layer (kind 0, 1, 2), or what its update adds to them; NULL where it has none. */
float *layer_parameters(network *net, int i, int kind, int update, int *count) {
    layer l = net->layers[i];
    float *values[] = {l.weights, l.biases, l.scales};
    float *updates[] = {l.weight_updates, l.bias_updates, l.scale_updates};
    int biases = l.type == LOCAL || l.type == CONNECTED ? l.outputs : l.n;
    *count = kind ? biases : l.type == CONNECTED ? l.inputs * l.outputs : l.nweights;
    if (l.type == LOCAL && !kind) *count = l.size * l.size * l.c * l.n * l.out_h * l.out_w;
    return update ? updates[kind] : values[kind];
}

/* Forward and backward pass of one batch, whose pictures count as seen; network_update then changes the weights. */
float network_step(network *net, const float *pictures, const float *truth) {
    memcpy(net->input, pictures, sizeof(float) * net->inputs * net->batch);
    memcpy(net->truth, truth, sizeof(float) * net->truths * net->batch);
    *net->seen += net->batch;
    net->train = 1;
    forward_network(net);
    backward_network(net);
    return *net->cost;
}

void network_update(network *net) { update_network(net); }

/* Detections as rows: box, class, score, objectness, x, y, w, h. Boxes keep their number through the suppression. */
int network_detections(network *net, int w, int h, float threshold, float nms, float *rows, int most) {
    int boxes, count = 0;
    detection *found = get_network_boxes(net, w, h, threshold, .5, 0, 1, &boxes);
    float **before = calloc(boxes, sizeof(float *));
    for (int i = 0; i < boxes; ++i) before[i] = found[i].prob;
    int classes = net->layers[net->n - 1].classes;
    if (nms > 0) do_nms_sort(found, boxes, classes, nms);
    for (int box = 0; box < boxes; ++box) {
        int place = 0;
        while (found[place].prob != before[box]) ++place;
        detection d = found[place];
        for (int c = 0; c < classes; ++c) {
            if (d.prob[c] == 0 || count == most) continue;
            float row[] = {box, c, d.prob[c], d.objectness, d.bbox.x, d.bbox.y, d.bbox.w, d.bbox.h};
            memcpy(rows + 8 * count++, row, sizeof(row));
        }
    }
    free(before);
    free_detections(found, boxes);
    return count;
}

/* One operation on a picture of planes; returns the planes that it gives. */
float *picture_operation(const char *name, float *planes, int width, int height, int w, int h, const float *a) {
    image from = copy_image(float_to_image(width, height, 3, planes)), to = from;
    if (!strcmp(name, "letterbox")) to = letterbox_image(from, w, h);
    if (!strcmp(name, "resize")) to = resize_image(from, w, h);
    if (!strcmp(name, "center_crop")) to = center_crop_image(from, w, h);
    if (!strcmp(name, "crop")) to = crop_image(from, a[0], a[1], w, h);
    if (!strcmp(name, "rotate_crop")) to = rotate_crop_image(from, a[0], a[1], w, h, a[2], a[3], a[4]);
    if (!strcmp(name, "distort")) distort_image(from, a[0], a[1], a[2]);
    if (!strcmp(name, "flip")) flip_image(from);
    if (!strcmp(name, "place")) {
        to = make_image(w, h, 3);
        fill_image(to, .5);
        place_image(from, a[0], a[1], a[2], a[3], to);
    }
    return to.data;
}
