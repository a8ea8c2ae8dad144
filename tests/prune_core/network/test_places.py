"""Paths of weights: one for each weight, whatever the layers are called, and the same in every copy."""

from base64 import b85decode

import keras
import numpy as np
import pytest
from keras import layers as L

from prune_core import UserError, decode, encode
from prune_core.graph.copying import copy_of
from prune_core.network.places import leaf_layers, weight_variables


class Block(L.Layer):
    """Layers in a list, one of its own, and a weight: Keras counts the names of all of them up."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.blocks = [L.Dense(3), L.Dense(3)]
        self.last = L.Dense(3)

    def build(self, shape):
        self.scale = self.add_weight(shape=(3,))
        for layer in (*self.blocks, self.last):
            layer.build(shape)

    def call(self, x):
        return self.last(self.blocks[1](self.blocks[0](x))) * self.scale


def chain(*layers: keras.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((4, 3)), *layers])


def stack() -> keras.Layer:
    return L.StackedRNNCells([L.LSTMCell(2, name="cell"), L.LSTMCell(3, name="cell")], name="cell")


def attention(name: str) -> keras.Model:
    inputs = keras.Input((4, 3))
    return keras.Model(inputs, L.MultiHeadAttention(1, 2, name=name)(inputs, inputs))


def twins() -> keras.Model:
    """Two nested models with layers of the same names."""
    towers = [keras.Sequential([keras.Input((3,)), L.Dense(3, name="d")], name=name) for name in ("one", "two")]
    inputs = keras.Input((3,))
    return keras.Model(inputs, towers[1](towers[0](inputs)))


NETWORKS = {
    "bidirectional": lambda: chain(L.Bidirectional(L.LSTM(2), name="lstm")),
    "bidirectional_in_time": lambda: keras.Sequential(
        [keras.Input((2, 4, 3)), L.TimeDistributed(L.Bidirectional(L.GRU(2, name="gru"), name="gru"), name="gru")]
    ),
    "wrapper_of_its_name": lambda: chain(L.TimeDistributed(L.Dense(2, name="dense"), name="dense")),
    "cells_of_one_name": lambda: chain(L.RNN(stack(), name="cell")),
    "query": lambda: attention("query"),
    "value": lambda: attention("value"),
    "model_in_time": lambda: chain(L.TimeDistributed(keras.Sequential([keras.Input((3,)), L.Dense(2), L.Dense(2)]))),
    "spectral": lambda: keras.Sequential(
        [keras.Input((3,)), L.SpectralNormalization(L.Dense(2, name="sn"), name="sn")]
    ),
    "seed_generator": lambda: chain(L.Dropout(0.5, name="seed_generator"), L.Dense(2, name="seed_generator_state")),
    "twins": twins,
    "block": lambda: chain(Block(), Block()),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_each_weight_has_a_path_that_copies_keep(name: str):
    model = NETWORKS[name]()
    paths = weight_variables(model)
    assert sorted(map(id, paths.values())) == sorted(map(id, model.weights))
    assert list(weight_variables(copy_of(model))) == list(paths)
    assert all(path.startswith(tuple(f"{layer}/" for layer, _ in leaf_layers(model))) for path in paths)
    if name != "block":
        twin = decode(encode(model))
        assert list(weight_variables(twin)) == list(paths)
        assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), twin.get_weights(), strict=True))


def test_paths_by_hand():
    def paths(name: str) -> list[str]:
        return [path for path in weight_variables(NETWORKS[name]()) if path.endswith("kernel")]

    assert paths("wrapper_of_its_name") == ["dense/dense/kernel"]
    assert paths("twins") == ["one/d/kernel", "two/d/kernel"]
    assert paths("query")[0] == "query/query/kernel"
    assert paths("spectral") == ["sn/sn/kernel"]
    cells = [f"cell/cell/cells_{n}/{kernel}" for n in (0, 1) for kernel in ("kernel", "recurrent_kernel")]
    assert paths("cells_of_one_name") == cells
    block = list(weight_variables(chain(Block(name="b"))))
    assert [path for path in block if "bias" not in path] == [
        *("b/scale", "b/blocks_0/kernel", "b/blocks_1/kernel", "b/last/kernel"),
    ]


# Encoded by an earlier version. A layer used before and in a nested model was stored as two, with a kernel each.
SHARED = (
    "aB_8SWi4ZGa%BOl83MNi?N!Nc+b|IQ7oG*daBn^bEehmN6wRf9L5w6yB21Ag7dMWefA3JD7cF+2HfRvQH)+;4Zx%MBQkfHstjLCGFtO2Tj3OpX"
    "oI9CXt|SN&kyL;&R6^xVKMyoY=DZ-Qh6Js0mT6R24O~LvgIn!bL<H=ZHe~hKjI##KD9u+{JA3a{gER@)w4|nl8jT*M6Czr!Ba+#j7m!>iu%DLb"
    "VrtL^ML7tA=`|Du%MQOGNrHx|4%PI!7HwI<4VJ;O0H#ZG>ceHCoJ2K}<!f5E(WI<5Ad^e^fyjivAQP@6bH1!QCK1&PaoHScp{#N2Nzfl?_Du<%"
    "?&d=8NjX;<%AMpE3t2`4u(@0Cl%S{Jl7Vl4GmIu2GY4P@Loz`*x^WQv8M`z=8J}n;kiQ6}m3@#rSGpR2Hq7^_r=0sCpz!2L?j^XaL(zqzJm7zT"
    "_>*a6PN7{$75G546QKKKJ>U++j68T?aMQKj4jiW9Uk;?@&s}He9?~TOFp}dUqeo_YHb=YDMyC@v9_)sIF8YrFH<Wh#QH$fOG^N81zPz2icZsN#"
    "-l3`AsztO|w=J4)e)mZm{JVOwzO(y>x#6EZM*nTEDtMw>5bk(HSb;6vGHQhK5Ek(Q@s*mHQi-hlfAIq8_iR*lu2Jj#x*jh5zNv?;J!*7_GE?gC"
    "fw?%tf#g(GH5ZJYF6!txdN;a~Il6Ex%qGBp#fabDj@#RDdpo8(7MA?#vy_}YOWE6<rS=ctSYo9C00D3S0{{R300RI300093fWQC)K0ZDG00IC2"
    "00IC200Mvj00O?g0RRDT00RI300093000030D!;%13o@J00062000620007j0008MzIc7ASp"
)
# Paths began after the last mention of the layer's name.
ATTENTION = (
    "aB_8SWi4ZGa%BO*3<8Y=y;MtU+%ORSFFK25v%UFND1AT!Ii!~^L5ywLD<Vs-9@)Ca|Ggti-nG3>2o!qrJUrhw-^{2djV`_9BqPt<fZbVB?9j!f"
    "-Bn%{PG|*^P*O;+mMLgL>gPp7t4h=)>q&|>=yV2zf;<#<#&b#}blg~y9s4z6imV{Msn)yiA+&(V!4)TFPtao0QF$rpfgYYHDP0#_q>>ukhXej("
    "TQC+~6-bK&4AeC*FJ^)POw?`aCB_EK<+ZSm8(t<lBhdUGp>pjNhEb}})zd)V+1S08PJHE1esqqjfV`#QFV9W4rDN)I4Yo%4^oVH>T8g6EDnF_8"
    "TCeC=zF{Y%iQU~%1nF2Q8j>9-c>(G9#VU<%wRa@j@Ai~<%ULdvPof*_8r*dZn2Lj)CKz>vNeKqOM>X$opjL`fsG6OHD)o6v#by<kOeo<5Nbv{P"
    "<3@|!EP5l%7paYQKa{AnX%^C09@Znmh_HQ$P4pz*SJxZT1p)qn;!ke0ol|=QD(Qh?FTq5xNO&Z%;Rn3j7vZ|CSgMA=c3eESD0b_<O7{BE<X*^<"
    "&14Rfx41rq3+A}!TL&Gt>?SY_bbTZ1TkHv#I({s4Wo*=*;j&q67+X&NJx@yf|AcL7M9z-kDcI9}AoU-yF#Y))TkO#acHGy?8$0D**7h1nqK%a{"
    "X109V*RzW-v)dhpzvb!zLjeE*Z~y}U00003000000|0=)00TZgJ^%m$0000200002fB*mjzP<ne1ONa4000C4000001OUK*000EPzP`Qy00IC2"
    "00IC200KZD00O_i000C4000001ONa4000DlU_c-M1i!z(zW@LN0000200002ppXCpzrO$g1ONa4000C4000001i-MMkN^a~zrVi#00IC200IC2"
    "00Q9900O_iw%s8K"
)
# Two directions of one name: the weights of the first were left out.
LOST = (
    "aB_8SWi4ZGa%BPc7Xq3D?Nq^T+b|6M7oCkD?QS^^1BL+uHf-%>MIkUY;|P(ZjH0%sMgM)2t;R|01jX8+D3GK1XuiisQunIyRkWyPYJ~(r6{@rl"
    "f_BiP;CK8P(Xj!W5bqYIR<nDR(MEzyU>wX-38sjJs(7=;lytiChbu|@>a8g^W2G0?1HZde4}~JEO<*Lf^1m)xD{%`Oq@ZRuhg6e{958-z>&TxI"
    "v`07xE|)qiA*sGewTsK*;&$7}R!X758YoC;0X9gd1a*zo_A}FfB>FWQ@5HnYJKn?-rN1|oAuMyz5xZ)NuR4ncsYWd<DPIbdz$#B@NPncskKe9G"
    "***ORs`P8ONXU_#4(&yh82UBH00Z~CQF}dya+Q?#nQh7<+HD{@^0xoHL-N{3mOa(dwr(J-c5)3%sf$8^EW$5H%OJ`b+)^bGWh9bQ)q7|#b>mGX"
    "2{E9a8!;yPCN4R&+DKKoZgV#}s2y}TF6+tjwKJl$+4D4Dx{CIalu1XY;ZO3bi{$?L&`Hl9yZU#XUx=5!9vsfD$Xa$voSjThNJ-v3L&XmnZP*oX"
    "f+~+j;Anw5vQB94#|YRe9ErCJVR$o!Whzk>+RNf0(-3QkhT)3*T867;)5&zVz+pU~On<>iM7N6lD2|yToYB}y_v7pKYVc}5q)Fww(=YP;Y^%NH"
    "_b2;&etyo+&-wZJug}j5l(>D&J(lr&iofsaAv^#80{{R300RI30009(AOHXZzrVi#00RI30009300003fM7rX1HZq&000I600000000I600000"
    "000J{kbq!7AOHrxzrVk~zyCU6wg"
)


def test_what_earlier_versions_encoded_still_decodes():
    answers = np.asarray(decode(b85decode(SHARED))(np.ones((1, 2), np.float32)))
    assert answers.tolist() == [[0.375 * 0.25 - 0.25, 0.375 * 0.375 - 0.125]]
    for number, weight in enumerate(decode(b85decode(ATTENTION)).get_weights()):
        assert np.array_equal(weight.ravel(), np.arange(weight.size) / 8 - 0.25 * number)


def test_a_network_of_which_weights_were_left_out_is_refused():
    with pytest.raises(UserError, match="left 3 weights out"):
        decode(b85decode(LOST))
