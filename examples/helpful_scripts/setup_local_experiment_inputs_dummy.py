"""Makes a small eval set to try things with: what an eval set consists of, and how one is made.

One folder for each image that an item has; images belong together by their names. A folder ``Input`` feeds
the node titled "Load Input Image", ``Mask`` feeds "Load Mask Image", and so on.
"""

# %%
from pathlib import Path

from PIL import Image, ImageDraw

# %%
PROJECT, DATASET = "dummy_project", "dummy_dataset"
NAMES = ("beach", "forest", "town")
SIDE = 256


# %%
def picture(number: int) -> Image.Image:
    """A disc on a ground of another colour."""
    image = Image.new("RGB", (SIDE, SIDE), (90, 60 + 50 * number, 160))
    ImageDraw.Draw(image).ellipse((60, 60, 190, 190), fill=(230, 190 - 40 * number, 80))
    return image


def mask() -> Image.Image:
    """White where the disc is."""
    image = Image.new("L", (SIDE, SIDE), 0)
    ImageDraw.Draw(image).ellipse((60, 60, 190, 190), fill=255)
    return image


# %%
if __name__ == "__main__":
    root = Path("local_experiment_inputs")
    for number, name in enumerate(NAMES):
        for folder, image in (("Input", picture(number)), ("Mask", mask())):
            file = root / PROJECT / DATASET / folder / f"{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            image.save(file)
    print(f"{root / PROJECT / DATASET}: {len(NAMES)} items with the folders Input and Mask")
