#!/usr/bin/env python3
"""Makes weights.h, the models that model_serving serves: python3 make_weights.py > weights.h (needs numpy).

logistic_regression  trained on sentences put together from the words below; words are hashed to 512 features.
cnn                  two layers of random 3x3 filters and a dense layer fitted by ridge regression (an extreme
                     learning machine: Huang, Zhu, Siew 2006), on the images that main.cc draws.
rnn                  an echo state network (Jaeger 2001): random recurrent weights, a readout fitted by ridge
                     regression to say the next letter of the names below.
All weights are 8-bit numbers times a power of two, so that any machine computes with the same ones."""
import numpy as np

POSITIVE = """good great excellent wonderful lovely superb amazing best happy love loved enjoy enjoyed perfect brilliant
delightful fantastic charming pleasant beautiful fun impressive fresh friendly helpful recommend fast clean tasty
delicious comfortable favourite favorite nice smart warm bright funny moving gripping""".split()
NEGATIVE = """bad awful terrible horrible worst hate hated boring poor disappointing disappointed ugly dirty slow broken
rude useless dull sad stupid annoying weak noisy cold stale bland waste wasted mess painful angry cheap failed
confusing tedious unpleasant overpriced late wrong never""".split()
NEUTRAL = """the a this that was is it and but of in on to for with food film movie book room service place staff story
we i they had have very really so we found day time all one plot actor dinner hotel phone product""".split()
NAMES = """anna maria sofia elena clara laura julia emma hanna lena mia nora ida ella eva lina amelia olivia alice
martha sarah rebecca rachel miriam judith dorothea helena irena magdalena katharina johanna susanna christina martina
karl anton emil paul peter martin thomas simon david daniel samuel jonas lukas julian adrian florian sebastian
benjamin alexander maximilian leonard konrad albert robert hubert arthur oskar viktor walter gustav harald ronald
edmund roland marian damian fabian tristan dorian ivan milan roman stefan bastian jannis matthis noah liam elias""".split()
FEATURES, SIDE, FIRST, SECOND, CLASSES, HIDDEN, LETTERS = 512, 32, 8, 16, 6, 64, 27
MASK = (1 << 64) - 1


class Random:
    """SplitMix64, as functions/common/random.h has it."""

    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % bound


def feature(word):
    value = 0xCBF29CE484222325
    for byte in word.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value % FEATURES


def quantised(weights):
    """The nearest whole numbers in -127..127 times a power of two, and that power's exponent."""
    exponent = int(np.ceil(np.log2(np.abs(weights).max() / 127)))
    return np.rint(weights / 2.0**exponent).astype(int), exponent


def ridge(inputs, targets, strength):
    square = inputs.T @ inputs + strength * np.eye(inputs.shape[1])
    return np.linalg.solve(square, inputs.T @ targets)


def logistic_regression(random):
    rows, labels = [], []
    for i in range(1500):
        words = random.choice(NEUTRAL, 5).tolist() + random.choice(POSITIVE if i % 2 else NEGATIVE, 2).tolist()
        rows.append(np.bincount([feature(word) for word in words], minlength=FEATURES))
        labels.append(i % 2)
    rows, labels = np.array(rows, float), np.array(labels, float)
    weights = np.zeros(FEATURES)
    for _ in range(400):
        error = 1 / (1 + np.exp(-rows @ weights)) - labels
        weights -= 2.0 * (rows.T @ error / len(rows) + 0.0005 * weights)
    return weights


def draw(seed):
    """The image of a seed and its class, as draw.cc has it."""
    random = Random(seed)
    kind, cx, cy, r = random.below(CLASSES), 11 + random.below(10), 11 + random.below(10), 6 + random.below(5)
    image = np.empty((SIDE, SIDE))
    for y in range(SIDE):
        for x in range(SIDE):
            dx, dy = x - cx, y - cy
            far, square = max(abs(dx), abs(dy)), dx * dx + dy * dy
            inside = [square <= r * r, (r - 3) * (r - 3) <= square <= r * r, far < r,
                      far <= r and min(abs(dx), abs(dy)) <= 1, -r <= dy <= r and 2 * abs(dx) <= dy + r,
                      far <= r and dy & 2 != 0][kind]
            image[y, x] = random.below(64) + (170 if inside else 20)
    return image / 256, kind


def convolve(image, weights):
    """3x3 filters (3, 3, in, out) over (rows, columns, in) with zeros around; then ReLU and the largest of 2x2."""
    rows, columns, _ = image.shape
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    out = sum(padded[y:y + rows, x:x + columns] @ weights[y, x] for y in range(3) for x in range(3))
    out = np.maximum(out, 0).reshape(rows // 2, 2, columns // 2, 2, -1)
    return out.max(axis=(1, 3))


def cnn(random):
    first, first_exponent = quantised(random.normal(size=(3, 3, 1, FIRST)) / 2)
    second, second_exponent = quantised(random.normal(size=(3, 3, FIRST, SECOND)) / 6)

    def features(seed):
        image, kind = draw(seed)
        layer = convolve(image[:, :, None], first * 2.0**first_exponent)
        return np.append(convolve(layer, second * 2.0**second_exponent).ravel(), 1), kind

    rows, kinds = zip(*(features(seed) for seed in range(1_000_000, 1_003_000)))
    dense, dense_exponent = quantised(ridge(np.array(rows), np.eye(CLASSES)[list(kinds)], 30.0))
    return (first, first_exponent), (second, second_exponent), (dense, dense_exponent)


def rnn(random):
    recurrent, recurrent_exponent = quantised(random.normal(size=(HIDDEN, HIDDEN)) * 1.3 / np.sqrt(HIDDEN))
    inward, inward_exponent = quantised(random.normal(size=(LETTERS, HIDDEN)))
    states, targets = [], []
    for name in NAMES:
        state, letter = np.zeros(HIDDEN), 0
        for following in [ord(c) - ord("a") + 1 for c in name] + [0]:
            state = inward[letter] * 2.0**inward_exponent + state @ (recurrent * 2.0**recurrent_exponent)
            state = state / (1 + np.abs(state))
            states.append(state)
            targets.append(np.eye(LETTERS)[following])
            letter = following
    readout = quantised(ridge(np.array(states), np.array(targets), 0.3))
    return (recurrent, recurrent_exponent), (inward, inward_exponent), readout


def show(name, weights):
    numbers, exponent = weights
    numbers = numbers.ravel().tolist()
    print(f"\nconstexpr double k{name}Scale = 0x1p{exponent};\nconstexpr int8_t k{name}[{len(numbers)}] = {{")
    line = "   "
    for number in numbers:
        if len(line) + len(f" {number},") > 100:
            print(line)
            line = "   "
        line += f" {number},"
    print(line + "\n};")


def main():
    random = np.random.RandomState(2019)
    print("// The models' weights, made by make_weights.py: whole numbers times a power of two, row by row.")
    print("#pragma once\n\n#include <cstdint>\n\nnamespace weights {")
    show("Sentiment", quantised(logistic_regression(random)))
    for name, weights in zip(("FirstFilters", "SecondFilters", "Dense"), cnn(random)):
        show(name, weights)
    for name, weights in zip(("Recurrent", "Inward", "Readout"), rnn(random)):
        show(name, weights)
    print("\n}  // namespace weights")


if __name__ == "__main__":
    main()
