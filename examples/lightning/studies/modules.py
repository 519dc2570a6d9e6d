"""Five LightningModules in the forms that Lightning's users know."""

import itertools

import lightning as L
import numpy as np
import torch
from sklearn.datasets import load_diabetes, load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, random_split


class DigitsData(L.LightningDataModule):
    """Digits of 8x8, as vectors."""

    def __init__(self, batch_size=64):
        super().__init__()
        self.batch_size = batch_size

    def setup(self, stage):
        images = torch.tensor(load_digits().data, dtype=torch.float32) / 16
        cut = torch.Generator().manual_seed(0)
        self.train, self.val, self.test = random_split(TensorDataset(images), [600, 200, 997], cut)

    def train_dataloader(self):
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.val, batch_size=self.batch_size)

    def test_dataloader(self):
        return DataLoader(self.test, batch_size=self.batch_size)


class LitAutoencoder(L.LightningModule):
    """One hidden layer each way."""

    def __init__(self, hidden=16, dropout=0.1, lr=1e-3):
        super().__init__()
        self.save_hyperparameters()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, hidden))
        self.decoder = nn.Sequential(nn.Linear(hidden, 64), nn.ReLU(), nn.Linear(64, 64))
        self.example_input_array = torch.zeros(1, 64)

    def forward(self, x):
        return self.decoder(self.encoder(x))

    def training_step(self, batch, batch_idx):
        loss = F.mse_loss(self(batch[0]), batch[0])
        self.log("train_mse", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", F.mse_loss(self(batch[0]), batch[0]))

    def test_step(self, batch, batch_idx):
        self.log("test_loss", F.mse_loss(self(batch[0]), batch[0]))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)


class LitGan(L.LightningModule):
    """Manual optimization of two networks in turn; it has its loaders and tests nothing."""

    def __init__(self, noise=4):
        super().__init__()
        self.automatic_optimization = False
        self.noise = noise
        self.generator = nn.Sequential(nn.Linear(noise, 32), nn.ReLU(), nn.Linear(32, 2))
        self.discriminator = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 1))

    def train_dataloader(self):
        angle = torch.linspace(0, 6.28, 512)
        return DataLoader(TensorDataset(torch.stack([angle.cos(), angle.sin()], 1)), batch_size=64, shuffle=True)

    def val_dataloader(self):
        return DataLoader(TensorDataset(torch.zeros(256)), batch_size=256)

    def training_step(self, batch, batch_idx):
        (real,) = batch
        first, second = self.optimizers()
        fake = self.generator(torch.randn(len(real), self.noise, device=self.device))
        self.toggle_optimizer(first)
        loss = F.softplus(-self.discriminator(fake)).mean()
        first.zero_grad()
        self.manual_backward(loss)
        first.step()
        self.untoggle_optimizer(first)
        self.toggle_optimizer(second)
        judged = F.softplus(-self.discriminator(real)).mean() + F.softplus(self.discriminator(fake.detach())).mean()
        second.zero_grad()
        self.manual_backward(judged)
        second.step()
        self.untoggle_optimizer(second)
        self.log_dict({"g_loss": loss, "d_loss": judged}, prog_bar=True)

    def validation_step(self, batch, batch_idx):
        points = self.generator(torch.randn(len(batch[0]), self.noise, device=self.device))
        self.log("val_distance", (points.norm(dim=1) - 1).abs().mean())

    def configure_optimizers(self):
        return [
            torch.optim.Adam(self.generator.parameters(), 1e-3),
            torch.optim.Adam(self.discriminator.parameters(), 1e-3),
        ]


class Words(Dataset):
    """Random words, some letters of which are replaced whenever they are asked for."""

    def __init__(self, count, seed, noise):
        self.words = np.random.RandomState(seed).randint(1, 10, (count, 6))
        self.noise = noise

    def __len__(self):
        return len(self.words)

    def __getitem__(self, place):
        word = torch.from_numpy(self.words[place])
        noisy = torch.where(torch.rand(6) < self.noise, torch.randint(1, 10, (6,)), word)
        return noisy, word.flip(0)


class WordsData(L.LightningDataModule):
    """Words of six letters, read by a worker process."""

    def __init__(self, noise=0.05):
        super().__init__()
        self.noise = noise

    def train_dataloader(self):
        return DataLoader(Words(512, 0, self.noise), batch_size=64, shuffle=True, num_workers=1, drop_last=True)

    def val_dataloader(self):
        return DataLoader(Words(128, 1, 0.0), batch_size=64)

    def test_dataloader(self):
        return DataLoader(Words(128, 2, 0.0), batch_size=64)


class LitReverse(L.LightningModule):
    """Letters in, letters out; a schedule by epoch."""

    def __init__(self, width=32):
        super().__init__()
        self.letters = nn.Embedding(10, width)
        self.places = nn.Parameter(torch.randn(6, width) / 10)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.1, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, words):
        return self.head(self.layers(self.letters(words) + self.places))

    def training_step(self, batch, batch_idx):
        words, wanted = batch
        loss = F.cross_entropy(self(words).flatten(0, 1), wanted.flatten())
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return {"loss": loss}

    def validation_step(self, batch, batch_idx):
        self.log("val_acc", (self(batch[0]).argmax(2) == batch[1]).float().mean())

    def test_step(self, batch, batch_idx):
        self.log("test_acc", (self(batch[0]).argmax(2) == batch[1]).float().mean())

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), 3e-3)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)]


class LitTabular(L.LightningModule):
    """Collects its errors over the epoch and logs them at its end; the schedule watches them."""

    def __init__(self, act="relu"):
        super().__init__()
        kind = {"relu": nn.ReLU, "tanh": nn.Tanh}[act]
        self.net = nn.Sequential(nn.Linear(10, 32), kind(), nn.Linear(32, 1))
        x, y = load_diabetes(return_X_y=True)
        x, y = torch.tensor(x * 20, dtype=torch.float32), torch.tensor((y - 150) / 77, dtype=torch.float32)
        self.parts = [TensorDataset(x[a:b], y[a:b]) for a, b in ((0, 280), (280, 360), (360, 442))]
        self.errors = []

    def train_dataloader(self):
        return DataLoader(self.parts[0], batch_size=32, shuffle=True, generator=torch.Generator())

    def val_dataloader(self):
        return DataLoader(self.parts[1], batch_size=64)

    def test_dataloader(self):
        return DataLoader(self.parts[2], batch_size=64)

    def training_step(self, batch, batch_idx):
        return F.mse_loss(self.net(batch[0])[:, 0], batch[1])

    def validation_step(self, batch, batch_idx):
        self.errors.append((self.net(batch[0])[:, 0] - batch[1]).square())

    def on_validation_epoch_end(self):
        self.log("val_rmse", torch.cat(self.errors).mean().sqrt())
        self.errors.clear()

    def test_step(self, batch, batch_idx):
        self.errors.append((self.net(batch[0])[:, 0] - batch[1]).square())

    def on_test_epoch_end(self):
        self.log("test_rmse", torch.cat(self.errors).mean().sqrt())
        self.errors.clear()

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), 1e-2)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val_rmse"}}


class Disks(IterableDataset):
    """Images of a disk in noise and where it is; a stream without a length."""

    def __init__(self, count, seed):
        self.count, self.seed = count, seed

    def __iter__(self):
        random = np.random.RandomState(self.seed)
        for _ in range(self.count):
            x, y, r = random.randint(6, 26), random.randint(6, 26), random.randint(3, 8)
            rows, columns = np.indices((32, 32))
            mask = ((rows - y) ** 2 + (columns - x) ** 2 <= r * r).astype(np.float32)
            yield (
                torch.from_numpy(mask + random.normal(0, 0.5, (32, 32)).astype(np.float32))[None],
                torch.from_numpy(mask),
            )


class LitShapes(L.LightningModule):
    """Two convolutions and a metric of torchmetrics' kind, logged as an object."""

    def __init__(self, width=8):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, width, 3, 1, 1), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 1, 3, 1, 1)
        )

    def train_dataloader(self):
        return DataLoader(Disks(128, 0), batch_size=32)

    def val_dataloader(self):
        return DataLoader(Disks(64, 1), batch_size=32)

    def test_dataloader(self):
        return DataLoader(Disks(64, 2), batch_size=32)

    def training_step(self, batch, batch_idx):
        return F.binary_cross_entropy_with_logits(self.net(batch[0])[:, 0], batch[1])

    def _iou(self, batch):
        found, mask = self.net(batch[0])[:, 0] > 0, batch[1] > 0
        return (found & mask).sum() / (found | mask).sum().clamp(min=1)

    def validation_step(self, batch, batch_idx):
        self.log("val_iou", self._iou(batch), batch_size=len(batch[0]))

    def test_step(self, batch, batch_idx):
        self.log("test_iou", self._iou(batch), batch_size=len(batch[0]))

    def configure_optimizers(self):
        return torch.optim.SGD(itertools.chain(self.net.parameters()), 0.1, momentum=0.9)
