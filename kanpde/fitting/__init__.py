"""Functions and classifiers learned from tables of data, by the networks and the trainer that solve
equations."""

from kanpde.fitting.folder import load_fit as load_fit
from kanpde.fitting.learn import fit as fit
from kanpde.fitting.learn import learn as learn
from kanpde.fitting.learned import Fit as Fit
from kanpde.fitting.recipe import default as default
from kanpde.fitting.task import Task as Task
from kanpde.fitting.task import prepare as prepare
