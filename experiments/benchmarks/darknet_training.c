/* Training with the library of Debian's package `darknet`, as its program trains, for darknet_training.py. */

#include <darknet.h>

float train_network_datum(network *net); /* exported by the library; its header leaves it out */

/* The library's own does nothing on a CPU. This is what its GPU code does: the slope of the sigmoid for x, y and
   objectness, all else as it is (darknet.md 5.7). The library takes it, as it finds it before its own. */
void backward_region_layer(const layer l, network net) {
    int cells = l.w * l.h, entries = l.coords + 1 + l.classes;
    for (int box = 0; box < l.batch * l.n; ++box) {
        float *output = l.output + box * cells * entries, *delta = l.delta + box * cells * entries;
        int sigmoids[] = {0, 1, l.coords};
        for (int i = 0; i < (l.background ? 2 : 3); ++i)
            for (int at = sigmoids[i] * cells; at < (sigmoids[i] + 1) * cells; ++at)
                delta[at] *= output[at] * (1 - output[at]);
    }
    for (int i = 0; i < l.batch * l.inputs; ++i) net.delta[i] += l.delta[i];
}

network *training_open(char *cfg, char *weights) { return load_network(cfg, weights, 1); }

/* One batch: forward, backward and update. The loss that the program would print of it. */
float training_step(network *net, const float *pictures, const float *truth) {
    memcpy(net->input, pictures, sizeof(float) * net->inputs * net->batch);
    memcpy(net->truth, truth, sizeof(float) * net->truths * net->batch);
    return train_network_datum(net) / net->batch;
}

int training_truths(network *net) { return net->truths; }
